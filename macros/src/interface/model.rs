//! What an interface says, after its syntax was read and checked.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Expr, Ident, ItemTrait, LitStr, Member, Path, Signature, Type, Visibility};

/// A trait under `#[interface]`.
pub(crate) struct Interface {
    /// Where the crate `hypercall` is.
    pub(crate) krate: Path,
    /// The interface's error codes.
    pub(crate) codes: Option<Expr>,
    /// Whether other crates may use the callback macro.
    pub(crate) export: bool,
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    /// The trait as it is emitted: without the attributes of this macro, and with the calls' numbers in their
    /// documentation.
    pub(crate) definition: ItemTrait,
    /// Methods that are calls.
    pub(crate) methods: Vec<Method>,
    /// Methods with a body, which are not calls.
    pub(crate) provided: Vec<Provided>,
}

/// A method that has a body in the trait.
pub(crate) struct Provided {
    /// Without attributes and `mut` on arguments.
    pub(crate) signature: Signature,
    pub(crate) arguments: Vec<Ident>,
}

/// A method that is a call.
pub(crate) struct Method {
    /// Without attributes on arguments.
    pub(crate) signature: Signature,
    /// Documentation, to repeat on a twin of the method.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) number: Expr,
    pub(crate) select: Option<(Expr, Expr)>,
    pub(crate) hints: Vec<(Expr, LitStr)>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) registers: Vec<Register>,
    pub(crate) output: Output,
    /// `Result<R, Error>`, under any name.
    pub(crate) answer: Type,
    /// `R` of `Result<R, Error>`.
    pub(crate) returns: Type,
}

impl Method {
    pub(crate) fn ident(&self) -> &Ident {
        &self.signature.ident
    }

    pub(crate) fn constant(&self) -> Ident {
        Ident::new(&self.name().to_uppercase(), self.ident().span())
    }

    /// The name as people say it.
    pub(crate) fn name(&self) -> String {
        self.ident().unraw().to_string()
    }
}

/// An argument of a method.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) shape: Shape,
}

/// How an argument is passed in Rust.
pub(crate) enum Shape {
    /// `T`
    Value(Type),
    /// `&T` or `&mut T`
    Block { ty: Type, mutable: bool },
    /// `&[T]` or `&mut [T]`
    Array { element: Type, mutable: bool },
    /// `&[u8]` or `&mut [u8]`, outside a header
    Bytes { mutable: bool },
}

/// What goes into a register. Indices are those of arguments.
pub(crate) enum Register {
    Value(usize),
    Block(usize),
    Bytes(usize),
    Header(Header),
    /// The block that is returned.
    Returned,
}

/// A struct that carries arguments.
pub(crate) struct Header {
    pub(crate) ty: Path,
    pub(crate) fields: Vec<HeaderField>,
}

pub(crate) struct HeaderField {
    pub(crate) member: Member,
    pub(crate) content: Content,
}

/// What a header's field carries. Indices are those of arguments.
pub(crate) enum Content {
    Value(usize),
    Length(usize),
    Address(usize),
}

impl Header {
    /// The field that holds an address, and the argument that it is of.
    pub(crate) fn link(&self) -> Option<(&Member, usize)> {
        self.fields.iter().find_map(|field| match field.content {
            Content::Address(argument) => Some((&field.member, argument)),
            _ => None,
        })
    }

    /// The field that holds an argument's length.
    pub(crate) fn length(&self, argument: usize) -> Option<&Member> {
        self.fields.iter().find_map(|field| match field.content {
            Content::Length(of) if of == argument => Some(&field.member),
            _ => None,
        })
    }
}

/// Where the result is.
pub(crate) enum Output {
    /// `()`
    Unit,
    /// A block of its own.
    Returned,
    /// In an argument's block.
    Yielded(usize),
    /// In RAX.
    Rax,
}

impl Argument {
    /// The name as a trace shows it.
    pub(crate) fn shown(&self) -> String {
        self.name.unraw().to_string()
    }

    pub(crate) fn direction(&self, krate: &Path) -> TokenStream {
        let mutable = match self.shape {
            Shape::Value(_) => false,
            Shape::Block { mutable, .. }
            | Shape::Array { mutable, .. }
            | Shape::Bytes { mutable } => mutable,
        };
        if mutable {
            quote!(#krate::call::Direction::ReadWrite)
        } else {
            quote!(#krate::call::Direction::Read)
        }
    }
}
