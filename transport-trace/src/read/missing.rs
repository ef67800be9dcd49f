//! How many calls are missing, where that is known.

use crate::entry::{Damaged, LossCause, Lost};

impl Lost {
    /// How many calls are missing. `None` (a [`count`](Self::count) of 0) is that nobody knows: what this trace was made from was
    /// damaged at the lane's end, or none of the lane was left.
    #[must_use]
    pub const fn how_many(&self) -> Option<u64> {
        match self.count {
            0 => None,
            count => Some(count),
        }
    }

    /// Whether changes of watched pages may be missing with the calls, so that nobody knows what the lane's pages hold until they change
    /// again. Not where the recorder had no room for the calls: a change for which it had none comes later.
    #[must_use]
    pub const fn may_lack_pages(&self) -> bool {
        !matches!(
            self.cause,
            LossCause::RingFull | LossCause::TooLarge | LossCause::Busy
        )
    }
}

impl Damaged {
    /// Whether nobody knows how many calls stood there, and of which lanes: no header of a block is left of it. What the lanes go
    /// on with behind it tells; of lanes that do not go on nothing does.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        // The file's own header holds no calls.
        self.entries.is_none() && self.offset != 0
    }

    /// How many calls are missing because of it. 0 for a stretch that took none: the file's own header, a description, a block that
    /// stands a second time or is of another recording, a block without calls. Calls that a lost record of losses
    /// counted are not among them. `None` where nobody knows, until the lane goes on.
    #[must_use]
    pub const fn how_many(&self) -> Option<u64> {
        match (self.index, self.calls) {
            (Some(_), Some(calls)) => Some(calls as u64),
            (None, _) if !self.is_unknown() => Some(0),
            _ => None,
        }
    }

    /// Whether nothing of the recording is missing because of it.
    #[must_use]
    pub const fn took_nothing(&self) -> bool {
        self.index.is_none() && !self.is_unknown()
    }
}
