//! Zero cost, proven: the object code of typed calls is read and compared.
//!
//! The crate `codegen` outside the workspace is compiled in release mode, once with the typed calls and once with the
//! hand-written ones, and once in C where there is a compiler. The typed form must be what is checked in under
//! `codegen/listings`, and up to and including VMCALL what the hand-written form is.
//!
//! After an intended change, `BLESS=1 cargo test -p hypercall-vmcall --test object_code` writes the listing anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use iced_x86::{
    Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, Mnemonic, Register,
};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

/// The calls that are the same in both Rust forms. A number that is only known at run time is not among them: the
/// transport must then ask whether the call is one of the two that return through another world.
const SHAPES: [&str; 8] = [
    "no_argument",
    "one_value",
    "two_values",
    "value_and_struct",
    "struct_out",
    "struct_in_and_out",
    "value_and_struct_in_and_out",
    "nested_array",
];

struct Function {
    code: Vec<u8>,
    instructions: Vec<Instruction>,
}

impl Function {
    fn text(instructions: &[Instruction]) -> Vec<String> {
        let mut formatter = IntelFormatter::new();
        instructions
            .iter()
            .map(|instruction| {
                let mut line = String::new();
                formatter.format(instruction, &mut line);
                line
            })
            .collect()
    }

    /// Everything up to and including VMCALL.
    fn before(&self) -> &[Instruction] {
        let end = self
            .instructions
            .iter()
            .position(|instruction| instruction.mnemonic() == Mnemonic::Vmcall)
            .expect("the function makes a call");
        &self.instructions[..=end]
    }

    fn after(&self) -> &[Instruction] {
        &self.instructions[self.before().len()..]
    }

    fn bytes_before(&self) -> &[u8] {
        let end: usize = self.before().iter().map(Instruction::len).sum();
        &self.code[..end]
    }
}

fn codegen() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../codegen")
}

fn target(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The functions of an object file with this prefix, by the rest of their names.
fn functions(object: &Path, prefix: &str) -> BTreeMap<String, Function> {
    let data = fs::read(object).unwrap();
    let file = object::File::parse(&*data).unwrap();
    let mut functions = BTreeMap::new();
    for symbol in file.symbols() {
        let (Ok(name), Some(section)) = (symbol.name(), symbol.section_index()) else {
            continue;
        };
        let Some(rest) = name.strip_prefix(prefix) else {
            continue;
        };
        let section = file.section_by_index(section).unwrap();
        let start = usize::try_from(symbol.address()).unwrap();
        let size = usize::try_from(symbol.size()).unwrap();
        let code = section.data().unwrap()[start..start + size].to_vec();
        let instructions = Decoder::new(64, &code, DecoderOptions::NONE)
            .into_iter()
            .collect();
        functions.insert(rest.to_owned(), Function { code, instructions });
    }
    functions
}

/// Compiles one Rust form. Each test has its own folder: tests run at the same time.
fn compile(test: &str, feature: &str) -> PathBuf {
    let object = target(&format!("{test}-{feature}.o"));
    let status = Command::new(env!("CARGO"))
        .current_dir(codegen())
        .args([
            "rustc",
            "--quiet",
            "--release",
            "--lib",
            "--features",
            feature,
        ])
        .arg("--target-dir")
        .arg(target("codegen"))
        .arg("--")
        .arg(format!("--emit=obj={}", object.display()))
        // Nobody's flags may change what is compared, neither those of this run nor those of a configuration of cargo's. This
        // variable is before all others, also when empty.
        .env("CARGO_ENCODED_RUSTFLAGS", "")
        .status()
        .unwrap();
    assert!(status.success(), "codegen does not compile");
    object
}

fn typed(test: &str) -> BTreeMap<String, Function> {
    functions(&compile(test, "typed"), "typed_")
}

#[test]
fn typed_calls_are_what_hand_written_ones_are() {
    let typed = typed("hand");
    let by_hand = functions(&compile("hand", "by-hand"), "hand_");

    let mut listing = String::from(
        "; Object code of codegen/src/typed.rs. Checked by transport-vmcall/tests/object_code.rs.\n",
    );
    for (name, function) in &typed {
        listing += &format!("\n{name}:\n");
        for line in Function::text(&function.instructions) {
            listing += &format!("        {line}\n");
        }
    }
    let path = codegen().join("listings/typed.txt");
    if env::var_os("BLESS").is_some() {
        fs::write(&path, &listing).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        listing == expected,
        "the object code is not what {} says. It is now:\n{listing}",
        path.display()
    );

    for shape in SHAPES {
        assert_eq!(
            Function::text(typed[shape].before()),
            Function::text(by_hand[shape].before()),
            "{shape}: up to VMCALL, typed (left) and by hand (right)"
        );
    }
}

/// `movabs $RAX_UNWRITTEN, %rax`: what is read where the hypervisor writes no result is no answer.
const UNWRITTEN: [u8; 10] = [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80];

#[test]
fn a_call_is_a_rax_that_is_no_answer_two_instructions_and_one_test() {
    assert_eq!(UNWRITTEN[2..], hypercall_core::RAX_UNWRITTEN.to_le_bytes());
    let typed = typed("bytes");
    let numbers = [
        ("no_argument", 0x72),
        ("one_value", 0x12),
        ("two_values", 0x31),
        ("value_and_struct", 0x23),
        ("struct_out", 0x00),
        ("struct_in_and_out", 0x10),
        ("value_and_struct_in_and_out", 0x41),
        ("nested_array", 0x42),
    ];
    for (shape, index) in numbers {
        let call = [0x41, 0xb8, index, 0x00, 0x00, 0x80, 0x0f, 0x01, 0xc1];
        let bytes = typed[shape].bytes_before();
        assert!(
            bytes.ends_with(&call),
            "{shape}: {bytes:02x?} does not end with mov $imm32,%r8d; vmcall"
        );
        let before = &bytes[..bytes.len() - call.len()];
        assert!(
            before.ends_with(&UNWRITTEN),
            "{shape}: {bytes:02x?} does not set RAX before the call"
        );
    }
    for (shape, values) in [("no_argument", 0), ("one_value", 1), ("two_values", 2)] {
        let function = &typed[shape];
        // One instruction for each value at most: the extension to 64 bits.
        assert!(function.before().len() <= 3 + values, "{shape}");
        let tests = function
            .after()
            .iter()
            .filter(|instruction| {
                matches!(instruction.mnemonic(), Mnemonic::Test | Mnemonic::Cmp)
                    && instruction.op0_register() == Register::RAX
            })
            .count();
        assert_eq!(tests, 1, "{shape}: RAX is tested once");
    }
}

/// The two calls that come back with another world's message in registers, RBX among them, which can be no operand. Where the
/// values are that live across the call, the listing says.
#[test]
fn what_another_world_changes_is_not_believed_preserved() {
    let typed = typed("switching");
    for shape in ["switching_struct", "switching_value"] {
        let function = &typed[shape];
        let is_exchange = |instruction: Option<&Instruction>| {
            instruction.is_some_and(|instruction| {
                instruction.mnemonic() == Mnemonic::Xchg
                    && [instruction.op0_register(), instruction.op1_register()]
                        .contains(&Register::RBX)
            })
        };
        let (before, after) = (function.before(), function.after());
        let last = before.len().checked_sub(2).and_then(|at| before.get(at));
        assert!(is_exchange(last), "{shape}: RBX goes in");
        assert!(is_exchange(after.first()), "{shape}: RBX comes back");
    }
}

/// Says so where there is no C compiler: what is proven about Rust does not depend on it. In CI there is one.
#[test]
fn c_needs_no_fewer_instructions() {
    let object = target("forms.o");
    let compiled = Command::new("gcc")
        .args([
            "-O2",
            "-fno-pie",
            "-fcf-protection=none",
            "-fomit-frame-pointer",
            "-c",
        ])
        .arg(codegen().join("c/forms.c"))
        .arg("-o")
        .arg(&object)
        .status();
    match compiled {
        Ok(status) => assert!(status.success(), "c/forms.c does not compile"),
        Err(error) => {
            assert!(env::var_os("CI").is_none(), "gcc is part of CI: {error}");
            eprintln!("no gcc here ({error}): the C form is not compared");
            return;
        }
    }
    let typed = typed("c");
    let in_c = functions(&object, "c_");
    assert_eq!(in_c.len(), 5);
    for (shape, theirs) in &in_c {
        let ours = &typed[shape];
        // gcc stores 16 bits that are constant by way of a register.
        assert!(
            ours.before().len() <= theirs.before().len(),
            "{shape}: more instructions up to VMCALL typed, {:#?}, than in C, {:#?}",
            Function::text(ours.before()),
            Function::text(theirs.before())
        );
        let last_nine = |function: &Function| {
            function
                .bytes_before()
                .iter()
                .rev()
                .take(9)
                .copied()
                .collect::<Vec<_>>()
        };
        assert_eq!(last_nine(ours), last_nine(theirs), "{shape}");
    }
}
