//! The ratios at the end: what can be compared between machines.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use crate::{dispatch, shapes};

/// Prints a line for every ratio whose two sides were measured since `started`.
///
/// Medians: what another process does to a few samples does not count.
pub(crate) fn print(output: &Path, started: SystemTime) {
    let mut lines = Vec::new();
    for (name, against) in pairs() {
        let (Some(this), Some(that)) = (
            median(output, &name, started),
            median(output, &against, started),
        ) else {
            continue;
        };
        lines.push(format!(
            "{name:<36} {:>8.2}  x {against} ({that:.1} ns)",
            this / that
        ));
    }
    // Nothing was measured: a run that only tests the benches, or a filter.
    if !lines.is_empty() {
        println!("\nratios (name, ratio of medians, against what of the same run)");
        for line in lines {
            println!("{line}");
        }
    }
}

/// What is compared with what, by the names of the benchmarks.
fn pairs() -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for shape in shapes::SHAPES {
        for against in ["direct", "raw"] {
            for way in ["raw", "loopback", "dyn"]
                .into_iter()
                .filter(|way| *way != against)
            {
                pairs.push((format!("{shape}/{way}"), format!("{shape}/{against}")));
            }
        }
        pairs.push((format!("{shape}/dyn"), format!("{shape}/loopback")));
    }
    for shape in dispatch::SHAPES {
        for (name, against) in [
            ("generated", "method"),
            ("acrn", "method"),
            ("acrn", "generated"),
        ] {
            pairs.push((format!("{shape}/{name}"), format!("{shape}/{against}")));
        }
    }
    for (name, against) in [
        ("fake/life_loopback", "fake/life"),
        ("fake/life", "fake/gpa2hpa"),
        ("fake/life", "yardstick/page_copy"),
        ("fake/gpa2hpa", "yardstick/page_copy"),
    ] {
        pairs.push((name.to_owned(), against.to_owned()));
    }
    pairs
}

/// Criterion's estimate in nanoseconds. `None` for one that an earlier run left behind.
fn median(output: &Path, name: &str, started: SystemTime) -> Option<f64> {
    let path = output.join(name).join("new/estimates.json");
    if fs::metadata(&path).ok()?.modified().ok()? < started {
        return None;
    }
    let estimates: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    estimates.get("median")?.get("point_estimate")?.as_f64()
}
