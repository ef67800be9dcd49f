//! What the guest sees in CPUID, and what it asks of the test bed by it.

use bare::control::{self, Answer, Command, Pace, Role, Shown};
use bare::cpu::cpuid;
use virt::features;

use super::Host;
use crate::timer;

/// The leaf with the frequency of the time-stamp counter in kHz.
const TIMING: u32 = 0x4000_0010;

impl Host {
    /// EAX, EBX, ECX, EDX of a leaf, as the guest sees them.
    pub fn cpuid(&mut self, leaf: u32, subleaf: u32) -> [u32; 4] {
        let processor = cpuid(leaf, subleaf);
        let [mut eax, mut ebx, mut ecx, mut edx] = features::shown(leaf, subleaf, processor);
        match leaf {
            1 if self.shown == Shown::None => ecx &= !features::HYPERVISOR,
            0x4000_0000..=0x4000_ffff => [eax, ebx, ecx, edx] = self.hypervisor_leaf(leaf),
            control::LEAF if !self.orders.plain => {
                eax = self.control((subleaf >> 16) as u16, subleaf as u16);
                [ebx, ecx, edx] = control::SIGNATURE;
            }
            _ => {}
        }
        [eax, ebx, ecx, edx]
    }

    fn hypervisor_leaf(&self, leaf: u32) -> [u32; 4] {
        let signed = |name: &[u8; 12]| {
            let word = |at: usize| {
                u32::from_le_bytes([name[at], name[at + 1], name[at + 2], name[at + 3]])
            };
            [0x4000_0010, word(0), word(4), word(8)]
        };
        match (self.shown, leaf) {
            // Not the recorded machine's: who reads the counter by it would take milliseconds for seconds.
            (Shown::Acrn | Shown::Second, TIMING) => {
                [self.tsc_khz.unwrap_or(self.fake.cpuid(leaf)[0]), 0, 0, 0]
            }
            (Shown::Acrn, _) => self.fake.cpuid(leaf),
            (Shown::Kvm, 0x4000_0000) => signed(b"KVMKVMKVM\0\0\0"),
            (Shown::Second, 0x4000_0000) => signed(b"Microsoft Hv"),
            (Shown::Second, 0x4000_0100) => self.fake.cpuid(0x4000_0000),
            (Shown::Second, _) => self.fake.cpuid(leaf),
            _ => [0; 4],
        }
    }

    fn control(&mut self, command: u16, argument: u16) -> u32 {
        if command == Command::Show as u16 {
            let all = [Shown::Acrn, Shown::Kvm, Shown::None, Shown::Second];
            self.shown = all
                .into_iter()
                .find(|shown| *shown as u16 == argument)
                .unwrap_or(Shown::Acrn);
        } else if command == Command::Answer as u16 {
            self.answer = Answer::ALL
                .into_iter()
                .find(|answer| *answer as u16 == argument)
                .unwrap_or(Answer::Honest);
        } else if command == Command::WrongVm as u16 {
            self.wrong_vm = argument;
        } else if command == Command::Reset as u16 {
            let all = [
                Role::ServiceVm,
                Role::SecureVm,
                Role::PlainVm,
                Role::TrustedVm,
            ];
            self.reset(
                all.into_iter()
                    .find(|role| *role as u16 == argument)
                    .unwrap_or(Role::ServiceVm),
            );
        } else if command == Command::Upcalls as u16 {
            return self.fake.upcalls(0xf3) as u32;
        } else if command == Command::Pace as u16 {
            self.at_tick = argument == Pace::Tick as u16;
        } else if command == Command::RichVm as u16 {
            self.worlds.rich_vm(u64::from(argument) * 4096);
        } else if command == Command::SecureInterrupt as u16 {
            self.worlds.interrupt();
        } else if command == Command::Ticks as u16 {
            return timer::ticks() as u32;
        }
        self.about
    }
}
