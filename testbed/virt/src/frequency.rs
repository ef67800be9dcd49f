//! How fast the time-stamp counter is, by a counter whose speed is known.

/// The PC's interval timer, in Hz (Intel 8254; a twelfth of 14.31818 MHz).
pub const TIMER: u64 = 1_193_182;

/// The frequency in kHz of a counter that made `ticks` while the timer made `counts`. `None` where that is no frequency: nothing
/// was counted, or more than a register holds.
#[must_use]
pub fn khz(ticks: u64, counts: u32) -> Option<u32> {
    let seconds = u128::from(counts).checked_mul(1000)?;
    let cycles = u128::from(ticks).checked_mul(u128::from(TIMER))?;
    let khz = cycles.checked_div(seconds)?;
    u32::try_from(khz).ok().filter(|khz| *khz != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_a_hundredth_of_a_second_are_ten_a_khz() {
        assert_eq!(khz(25_000_000, 11_932), Some(2_499_962));
        assert_eq!(khz(40_000, 11_932), Some(3_999));
        // A second.
        assert_eq!(khz(4_000_000_000, 1_193_182), Some(4_000_000));
    }

    #[test]
    fn nonsense_is_no_frequency() {
        assert_eq!(khz(0, 11_932), None);
        assert_eq!(khz(1, 0), None);
        assert_eq!(khz(u64::MAX, 1), None);
        assert_eq!(khz(u64::MAX, u32::MAX), None);
    }
}
