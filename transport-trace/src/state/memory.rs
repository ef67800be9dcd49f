//! A VM's memory: what `set_memory_regions` maps and unmaps, by ACRN's rules.

use super::Region;

/// Ranges that are kept of a VM: as many as 128 GiB have in pages of 2 MiB that do not follow each other.
pub(crate) const MAX_REGIONS: usize = 1 << 16;
const PAGE: u64 = 4096;
/// A page without any of these rights counts as not mapped.
const RIGHTS: u64 = 7;

/// One element of the call's array, as the hypervisor reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// Every kind but 0 unmaps.
    pub(crate) kind: u64,
    /// Rounded up to a page.
    pub(crate) gpa: u64,
    from: u64,
    pub(crate) size: u64,
    prot: u64,
}

impl Change {
    pub(crate) fn of(field: &dyn Fn(&str) -> u64) -> Self {
        let round = |address: u64| {
            let up = address.checked_next_multiple_of(PAGE);
            up.unwrap_or(!(PAGE - 1))
        };
        Self {
            kind: field("kind"),
            gpa: round(field("gpa")),
            from: round(field("service_vm_gpa")),
            size: field("size"),
            prot: field("prot"),
        }
    }

    /// The first address behind it.
    pub(crate) const fn end(&self) -> u64 {
        self.gpa.saturating_add(self.size)
    }
}

/// How many bytes of a range are mapped.
pub(crate) fn covered(regions: &[Region], gpa: u64, end: u64) -> u64 {
    let parts = regions.iter().map(|region| {
        let stop = region.gpa.saturating_add(region.size).min(end);
        stop.saturating_sub(region.gpa.max(gpa))
    });
    parts.fold(0, u64::saturating_add)
}

/// Maps or unmaps a range. What is mapped already keeps its old translation.
pub(crate) fn change(regions: &mut Vec<Region>, change: &Change) {
    let (gpa, end) = (change.gpa, change.end());
    if change.kind != 0 {
        return unmap(regions, gpa, end);
    }
    if change.prot & RIGHTS == 0 || regions.len() >= MAX_REGIONS {
        return;
    }
    let mut gaps = vec![(gpa, end)];
    gaps.retain(|(start, end)| start < end);
    for there in &*regions {
        let there_end = there.gpa.saturating_add(there.size);
        gaps = gaps
            .into_iter()
            .flat_map(|(start, end)| [(start, end.min(there.gpa)), (start.max(there_end), end)])
            .filter(|(start, end)| start < end)
            .collect();
    }
    for (start, end) in gaps {
        regions.push(Region {
            gpa: start,
            from: change.from.wrapping_add(start.saturating_sub(gpa)),
            size: end.saturating_sub(start),
            prot: change.prot,
        });
    }
    regions.sort_by_key(|region| region.gpa);
    join(regions);
}

/// Applies what came before the element that was refused. Whether nobody knows which one that was: besides those that
/// cannot be applied, any that maps may have been refused, for want of memory in the Service VM.
pub(super) fn change_until_refused(regions: &mut Vec<Region>, changes: &[Change]) -> bool {
    let mut maps = false;
    for (place, one) in changes.iter().enumerate() {
        let refused = !one.size.is_multiple_of(PAGE)
            || (one.kind != 0 && covered(regions, one.gpa, one.end()) < one.size);
        if refused {
            return maps;
        }
        // The last one it must have been, where no other can be.
        let last = place.saturating_add(1) == changes.len();
        if last && !maps && one.kind == 0 {
            return false;
        }
        maps |= one.kind == 0;
        change(regions, one);
    }
    true
}

/// Takes a range out.
fn unmap(regions: &mut Vec<Region>, gpa: u64, end: u64) {
    if gpa == end {
        return;
    }
    let mut kept = Vec::with_capacity(regions.len());
    for region in regions.drain(..) {
        let region_end = region.gpa.saturating_add(region.size);
        for (start, stop) in [
            (region.gpa, region_end.min(gpa)),
            (region.gpa.max(end), region_end),
        ] {
            if start < stop {
                let from = region.from.wrapping_add(start.saturating_sub(region.gpa));
                let size = stop.saturating_sub(start);
                kept.push(Region {
                    gpa: start,
                    from,
                    size,
                    prot: region.prot,
                });
            }
        }
    }
    // A range that is cut in two may be one too many.
    kept.truncate(MAX_REGIONS);
    *regions = kept;
}

/// Joins neighbours that go on where the other ends.
fn join(regions: &mut Vec<Region>) {
    regions.dedup_by(|next, region| {
        let goes_on = region.gpa.checked_add(region.size) == Some(next.gpa)
            && region.from.checked_add(region.size) == Some(next.from)
            && region.prot == next.prot;
        if goes_on {
            region.size = region.size.saturating_add(next.size);
        }
        goes_on
    });
}

#[cfg(test)]
mod tests {
    use super::{Change, MAX_REGIONS, PAGE, change};
    use crate::state::Region;

    #[test]
    fn ranges_are_bounded() {
        // Every other page, so that no two join.
        let region = |at: u64| Region {
            gpa: 2 * PAGE * at,
            from: 0,
            size: PAGE,
            prot: 7,
        };
        let most = u64::try_from(MAX_REGIONS).unwrap_or(0);
        let mut regions: Vec<_> = (0..most - 1).map(region).collect();
        let mut make = |kind, gpa, size| {
            let one = Change {
                kind,
                gpa,
                from: 0,
                size,
                prot: 7,
            };
            change(&mut regions, &one);
            regions.len()
        };
        let behind = 2 * PAGE * most;
        assert_eq!(make(0, behind, 3 * PAGE), MAX_REGIONS);
        assert_eq!(make(0, behind + 8 * PAGE, PAGE), MAX_REGIONS, "no more");
        assert_eq!(make(2, behind + PAGE, PAGE), MAX_REGIONS, "cut in two");
        assert_eq!(make(2, behind, 3 * PAGE), MAX_REGIONS - 1);
    }
}
