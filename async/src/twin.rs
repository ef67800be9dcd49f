//! The macro that makes async twins.

/// Makes the async twin of an interface: `counter_interface!(hypercall_async::async_twin);`, for an interface `Counter`,
/// makes the trait `AsyncCounter` and implements it for [`Offload<C>`](crate::Offload) over any `C: Counter`.
///
/// Use it where the trait, `CounterCalls` and the types of the trait's methods are in scope. Nothing else is needed: a
/// crate that has this macro from a facade does not depend on `hypercall-async` itself, and only one that implements
/// `AsyncCounter` by hand depends on `async-trait`.
///
/// | in the trait | in its twin |
/// |---|---|
/// | `x: T` | `x: T` |
/// | `x: &T` | `x: T` |
/// | `x: &mut T` | `x: T`, which comes back beside the result |
/// | `x: &[T]`, `x: &[u8]` | `x: Vec<T>`, `x: Vec<u8>` |
/// | `x: &mut [T]`, `x: &mut [u8]` | the same, which comes back beside the result |
/// | `-> Result<R, Error>` | `-> Result<R, Error>`, or `-> (Result<R, Error>, T)` where `x: T` comes back |
///
/// Types that come back implement `Clone`. Methods with a body are not calls, and the twin does not have them.
#[macro_export]
macro_rules! async_twin {
    ($($definition:tt)*) => {
        $crate::__private::async_twin! { crate = $crate; $($definition)* }
    };
}
