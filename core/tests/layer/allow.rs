use std::sync::Mutex;

use hypercall_core::layer::{AllowList, CallList, DryRun, Rule, UnknownCall, allow, dry_run};
use hypercall_core::{Client, ErrorKind};

use crate::plotter::{Plotter, PlotterCalls, Point, Wire};

#[test]
fn what_is_not_listed_is_not_issued() {
    let rules = [Rule::Call(PlotterCalls::LIFT), Rule::Number(0x19)];
    let plotter = Client::new(AllowList::new(Wire::willing(), CallList::only(rules)));
    plotter.lift(1).unwrap();
    plotter.ink(1).unwrap();
    plotter.paper(1).unwrap();
    assert_eq!(plotter.transport().inner().issued(), 3);
    let error = plotter.reset().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Layer(allow::NOT_LISTED));
    assert!(!error.may_have_run());
    assert_eq!(
        error.to_string(),
        "reset() was not issued: the allow-list layer says: the call is not on the list of allowed calls"
    );
    assert_eq!(plotter.transport().inner().issued(), 3);
}

#[test]
fn what_is_denied_is_not_issued() {
    let rules = vec![Rule::named(PlotterCalls::INTERFACE, "paper").unwrap()];
    let plotter = Client::new(AllowList::new(Wire::willing(), CallList::all_but(rules)));
    plotter.ink(1).unwrap();
    plotter.reset().unwrap();
    assert_eq!(
        plotter.paper(1).unwrap_err().kind,
        ErrorKind::Layer(allow::DENIED)
    );
    assert_eq!(plotter.transport().inner().issued(), 2);
}

#[test]
fn an_empty_list_says_all_or_nothing() {
    let none: &[Rule] = &[];
    let closed = Client::new(AllowList::new(Wire::willing(), CallList::only(none)));
    assert!(closed.reset().is_err());
    let open = Client::new(AllowList::new(Wire::willing(), CallList::all_but(none)));
    assert!(open.reset().is_ok());
}

#[test]
fn a_name_that_is_typed_wrong_is_an_error() {
    let unknown = UnknownCall {
        name: "rset",
        interface: "Plotter",
    };
    let named = Rule::all_named(PlotterCalls::INTERFACE, ["lift", "rset", "wrong as well"]);
    assert_eq!(named.unwrap_err(), unknown);
    assert_eq!(
        unknown.to_string(),
        "interface Plotter has no call named \"rset\"; calls are named by their methods"
    );
    let named = Rule::all_named(PlotterCalls::INTERFACE, ["lift", "reset"]).unwrap();
    assert_eq!(
        named,
        [
            Rule::Call(PlotterCalls::LIFT),
            Rule::Call(PlotterCalls::RESET)
        ]
    );
}

#[test]
fn a_dry_run_tells_apart_what_it_would_issue() {
    let lines = Mutex::new(Vec::new());
    let rules = [Rule::Call(PlotterCalls::MIRROR)];
    let sink = |line: std::fmt::Arguments<'_>| lines.lock().unwrap().push(line.to_string());
    let plotter = Client::new(DryRun::new(CallList::only(rules), sink));
    let mut point = Point { x: 1, y: 20 };
    let error = plotter.mirror(&mut point).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Layer(dry_run::REFUSAL));
    assert_eq!(
        plotter.lift(3).unwrap_err().kind,
        ErrorKind::Layer(allow::NOT_LISTED)
    );
    assert_eq!(point, Point { x: 1, y: 20 });
    assert_eq!(
        *lines.lock().unwrap(),
        [
            "would issue mirror(x=1, y=0x14)",
            "would refuse lift(pen=3): the call is not on the list of allowed calls"
        ]
    );
}
