//! What the runner's command line asks for.

/// How the hypervisor behaves from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orders {
    /// Nothing tells the guest that this is the test bed.
    pub plain: bool,
    /// Nobody takes the guest's end at the ports where emulators do.
    pub no_end: bool,
    /// What goes wrong, to see that the run then fails.
    pub sabotage: Sabotage,
}

/// A fault at one of the hypercalls, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// None.
    None,
    /// The call is answered with a code that ACRN does not have.
    Wrong(u64),
    /// It gets an exception instead.
    Fault(u64),
    /// It is taken for one that crashes.
    Crash(u64),
    /// It gets an exception, and so does the guest's report of it.
    Nested(u64),
    /// From it on, the guest's serial port takes no more bytes.
    Mute(u64),
}

impl Orders {
    /// Reads words such as `plain`, `no-end`, `wrong=100`, `fault=100`, `crash=100`,
    /// `nested=100`, `mute=100`.
    pub fn from_line(line: &str) -> Self {
        let mut orders = Self {
            plain: false,
            no_end: false,
            sabotage: Sabotage::None,
        };
        for word in line.split_whitespace() {
            let (name, number) = word.split_once('=').unwrap_or((word, "1"));
            let number = number.parse().unwrap_or(1);
            match name {
                "plain" => orders.plain = true,
                "no-end" => orders.no_end = true,
                "wrong" => orders.sabotage = Sabotage::Wrong(number),
                "fault" => orders.sabotage = Sabotage::Fault(number),
                "nested" => orders.sabotage = Sabotage::Nested(number),
                "mute" => orders.sabotage = Sabotage::Mute(number),
                "crash" => orders.sabotage = Sabotage::Crash(number),
                _ => {}
            }
        }
        orders
    }
}
