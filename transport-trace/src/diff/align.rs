//! Aligns two sequences by their longest common subsequence, window by window, so that memory and time stay bounded.

/// What is taken from the two sequences next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// One of each, which are equal.
    Both,
    /// One of the first.
    Left,
    /// One of the second.
    Right,
}

/// The steps through two whole sequences: as many [`Step::Both`] as there can be, each as early as possible.
pub(super) fn align<T: PartialEq>(left: &[T], right: &[T]) -> Vec<Step> {
    let start = left
        .iter()
        .zip(right)
        .take_while(|(left, right)| left == right)
        .count();
    let (left, right) = (
        left.get(start..).unwrap_or_default(),
        right.get(start..).unwrap_or_default(),
    );
    let end = left
        .iter()
        .rev()
        .zip(right.iter().rev())
        .take_while(|(left, right)| left == right)
        .count();
    let middle = |all: usize| all.saturating_sub(end);
    let (left, right) = (
        left.get(..middle(left.len())).unwrap_or_default(),
        right.get(..middle(right.len())).unwrap_or_default(),
    );
    let mut steps = vec![Step::Both; start];
    steps.extend(walk(left, right));
    steps.extend(std::iter::repeat_n(Step::Both, end));
    steps
}

fn walk<T: PartialEq>(left: &[T], right: &[T]) -> Vec<Step> {
    // common[i][j]: the length of the longest common subsequence of what follows i and j.
    let width = right.len().saturating_add(1);
    let mut common = vec![vec![0_u32; width]; left.len().saturating_add(1)];
    for at in (0..left.len()).rev() {
        let (upper, lower) = common.split_at_mut(at.saturating_add(1));
        let (Some(row), Some(below), Some(one)) = (upper.last_mut(), lower.first(), left.get(at))
        else {
            continue;
        };
        let mut behind = 0;
        for (place, other) in right.iter().enumerate().rev() {
            let under = below.get(place).copied().unwrap_or(0);
            let diagonal = below.get(place.saturating_add(1)).copied().unwrap_or(0);
            behind = if one == other {
                diagonal.saturating_add(1)
            } else {
                under.max(behind)
            };
            if let Some(cell) = row.get_mut(place) {
                *cell = behind;
            }
        }
    }
    let cell = |i: usize, j: usize| {
        common
            .get(i)
            .and_then(|row| row.get(j))
            .copied()
            .unwrap_or(0)
    };
    let (mut i, mut j) = (0, 0);
    let mut steps = Vec::with_capacity(left.len().saturating_add(right.len()));
    loop {
        let step = match (left.get(i), right.get(j)) {
            (None, None) => break,
            (Some(_), None) => Step::Left,
            (None, Some(_)) => Step::Right,
            (Some(one), Some(other)) if one == other => Step::Both,
            _ if cell(i.saturating_add(1), j) >= cell(i, j.saturating_add(1)) => Step::Left,
            _ => Step::Right,
        };
        if step != Step::Right {
            i = i.saturating_add(1);
        }
        if step != Step::Left {
            j = j.saturating_add(1);
        }
        steps.push(step);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::{Step, align};

    #[test]
    fn what_is_common_stays_together() {
        use Step::{Both, Left, Right};
        assert_eq!(align(b"abc", b"abc"), [Both, Both, Both]);
        assert_eq!(align(b"abc", b"ac"), [Both, Left, Both]);
        assert_eq!(align(b"ac", b"abc"), [Both, Right, Both]);
        assert_eq!(align(b"xa", b"ya"), [Left, Right, Both]);
        assert_eq!(align(b"", b"ab"), [Right, Right]);
        assert_eq!(align::<u8>(b"", b""), []);
    }
}
