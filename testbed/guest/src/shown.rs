//! Other hypervisors than ACRN, as they show themselves.

use bare::control::{Command, Shown, command};
use bare::line;
use hypercall_vmcall::{NotAvailable, Signature, detect};

use crate::checks::Checks;

pub fn run(checks: &mut Checks) {
    line!("== who is there");
    command(Command::Show, Shown::Kvm as u16);
    let kvm = detect();
    command(Command::Show, Shown::None as u16);
    let none = detect();
    command(Command::Show, Shown::Second as u16);
    let second = detect();
    command(Command::Show, Shown::Acrn as u16);
    if let Err(why) = kvm {
        line!("      {why}");
    }
    let named = NotAvailable::OtherHypervisor(Signature(*b"KVMKVMKVM\0\0\0"));
    checks.check("KVM's signature: refused, and named", kvm == Err(named));
    checks.check(
        "no hypervisor: refused",
        none == Err(NotAvailable::NoHypervisor),
    );
    checks.check("ACRN's signature behind Hyper-V's: found", second.is_ok());
    checks.check("ACRN again", detect().is_ok());
}
