//! Checks at compile time that a payload lies in memory as the hypervisor's C struct does.

/// Asserts the size, the alignment and the offset of every field of a payload.
///
/// A field that is not listed does not compile, so the list cannot fall behind the struct. Padding counts as a field.
macro_rules! layout {
    ($name:ident: $size:literal bytes, align $align:literal { $($field:ident @ $offset:literal),+ $(,)? }) => {
        const _: () = {
            assert!(size_of::<$name>() == $size, concat!(stringify!($name), " has another size"));
            assert!(align_of::<$name>() == $align, concat!(stringify!($name), " has another alignment"));
            $(
                assert!(
                    core::mem::offset_of!($name, $field) == $offset,
                    concat!(stringify!($name), ".", stringify!($field), " is elsewhere")
                );
            )+
        };
        const _: fn($name) = |value| {
            let $name { $($field: _),+ } = value;
        };
    };
}

/// Makes the value whose every byte is zero the default, reserved fields included.
///
/// `#[derive(Default)]` cannot: it stops at arrays of 32.
macro_rules! zero_default {
    ($($name:ty),+ $(,)?) => { $(
        impl Default for $name {
            /// Every byte zero.
            fn default() -> Self {
                zerocopy::FromZeros::new_zeroed()
            }
        }
    )+ };
}

pub(crate) use {layout, zero_default};
