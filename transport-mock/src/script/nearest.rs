//! What a call that was not expected is nearest to.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use hypercall::arg::Arg;
use hypercall::call::CallInfo;
use hypercall::show::ShowCall;

use super::{Candidate, Mismatch, Script, State, Why};

/// Candidates of a report that are not expected next.
const ELSEWHERE: usize = 3;

impl Script {
    pub(super) fn mismatch(
        &self,
        state: &State,
        info: &'static CallInfo,
        args: &[Arg<'_>; 2],
    ) -> Mismatch {
        let (from, to) = (state.step, self.reach(state));
        let mut next = Vec::new();
        let mut elsewhere = Vec::new();
        for (step, met, one) in self.progress(state) {
            let mut why = if one.call() == info {
                one.differences(args)
                    .into_iter()
                    .map(Why::Differs)
                    .collect()
            } else {
                vec![Why::OtherCall]
            };
            let before_or_after = if step > to {
                Some(Why::NotYet(to.saturating_add(1)))
            } else if !one.how_often().allow_more_than(met) {
                Some(Why::Done(met))
            } else {
                (step < from).then_some(Why::Past)
            };
            let open = before_or_after.is_none();
            why.extend(before_or_after);
            let candidate = Candidate {
                step: step.saturating_add(1),
                expectation: one.to_string(),
                why,
            };
            if open {
                next.push(candidate);
            } else if one.call() == info {
                elsewhere.push(candidate);
            }
        }
        // Stable: of equally near ones the earlier comes first.
        next.sort_by_key(Candidate::distance);
        elsewhere.sort_by_key(Candidate::distance);
        elsewhere.truncate(ELSEWHERE);
        Mismatch {
            number: state.calls,
            call: info,
            shown: ShowCall(info, args).to_string(),
            unfit: None,
            next,
            elsewhere,
        }
    }
}
