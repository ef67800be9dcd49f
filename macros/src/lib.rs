//! The macros of Hypercall. Use them through the `hypercall` crate, which documents them with what they work on.

mod interface;
mod mock;
mod payload;
mod spans;
mod twin;

use proc_macro::TokenStream;

/// Makes a trait the definition of a hypervisor's interface.
///
/// ```ignore
/// #[hypercall::interface]
/// pub trait Counter {
///     /// Adds to a counter and returns its new value.
///     #[call(0x100, result = rax)]
///     fn add(&self, counter: u8, amount: u32) -> Result<u32, Error>;
/// }
/// ```
///
/// The trait stays as it is written: a plain, object-safe trait. From it come, with `Counter` as the example's name:
/// - `impl Counter for Client<T>` over any `Transport`, and forwarding for `&C`, `Box<C>` and `Arc<C>`;
/// - `CounterCalls`: a constant `&CallInfo` for each method, `CounterCalls::INTERFACE`, and `CounterCalls::invoke`;
/// - `CounterServer<C>`: answers raw registers and memory by calling any implementation of the trait;
/// - `counter_interface!`: hands the trait to another macro (`mock`, `async_twin`).
///
/// # On the trait
/// - `#[interface(codes = PATH)]`: the interface's error codes, a `&'static [CodeInfo]`.
/// - `#[interface(export)]`: other crates may use `counter_interface!`.
/// - `#[interface(crate = PATH)]`: where the crate `hypercall` is, if it is not `::hypercall`.
///
/// # On a method: `#[call(NUMBER, …)]`
/// The receiver is `&self`, the return type `Result<R, Error>`. At most two registers are used, in the order of the
/// arguments. The type of an argument says how it travels:
///
/// | argument | travels as |
/// |---|---|
/// | `x: T`, `T: Value` | the register's value |
/// | `x: &T`, `T: Payload` | memory that the hypervisor reads |
/// | `x: &mut T` | memory that it reads and writes |
/// | `x: &[u8]`, `x: &mut [u8]` | the same, as bytes whose number only the two sides know |
/// | named by `header(…)` | in a header struct; see below |
///
/// Of `&[u8]` the address travels, and not the length: a hypervisor knows it by the call, or by another argument, such as
/// `fn load(&self, length: u32, image: &[u8])`. A generated server asks its rules, by `Rules::extent`; rules that do not say it
/// make it refuse the call. Where the length is to travel by itself, use an array behind a header.
///
/// What a success returns:
///
/// | return type | success is | the result is |
/// |---|---|---|
/// | `Result<(), Error>` | RAX = 0 | |
/// | `Result<T, Error>` | RAX = 0 | a block that the hypervisor wrote, in the next free register |
/// | with `result = x` | RAX = 0, and the block says so | what the argument `x: &mut P`, `P: Yields<T>`, yields |
/// | with `result = rax` | RAX ≥ 0 | RAX, `T: Value` |
///
/// A block that yields starts each call without a result (`Yields::store_failure`), so that an old one is never taken for the
/// answer.
///
/// Further options:
/// - `header(Header { field: x, count: list.len(), address: &list })`: the arguments named in it travel in a struct
///   instead of in registers; `&list` puts the address of `list: &[T]` (an array) or `list: SharedRef` (memory that the
///   hypervisor keeps) into the field. A `SharedRef` has no other way to travel.
/// - `select(MASK, VALUE)`: several methods share the number; these bits of the first register tell them apart.
/// - `errors(-1 = "what to check", …)`: printed after a refusal with that code.
#[proc_macro_attribute]
pub fn interface(arguments: TokenStream, item: TokenStream) -> TokenStream {
    interface::expand(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a struct a block of memory that travels.
///
/// The struct is `#[repr(C)]` and also derives zerocopy's `FromBytes`, `IntoBytes`, `Immutable` and `KnownLayout`.
/// Hidden padding is refused: name it.
///
/// `#[payload(…)]` on a field: a role (`plain`, `reserved`, `volatile`, `secret`, `address`, `handle`; without one, the
/// role of its type), `text` (a NUL-terminated byte array), `units = "kHz"`, `c = "name_in_c"`. On the struct:
/// `c = "name_in_c"`, `crate = PATH`.
#[proc_macro_derive(Payload, attributes(payload))]
pub fn payload(item: TokenStream) -> TokenStream {
    payload::expand(item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes the mockall mock of an interface: `counter_interface!(hypercall_mock::mock);`, for an interface `Counter`, makes
/// `MockCounter`.
///
/// Use it where the trait and the types of its methods are in scope, in a crate that depends on `mockall` 0.15. Through
/// `hypercall` it is `hypercall::mock::mock`, by the feature `mockall`. Methods with a body are not mocked: they run, on
/// the mock.
#[proc_macro]
pub fn mock(item: TokenStream) -> TokenStream {
    mock::expand(item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// What `hypercall_async::async_twin!` hands an interface on to, with the path of that crate before it.
#[proc_macro]
pub fn async_twin(item: TokenStream) -> TokenStream {
    twin::expand(item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
