//! Addresses, which every hypervisor has.

crate::register_id! {
    /// A guest physical address, in bytes, as the caller's own machine sees it.
    #[doc(alias = "gpa")]
    pub struct Gpa(u64) as Address;
}

crate::register_id! {
    /// A host physical address, in bytes: what a guest physical address is translated to.
    #[doc(alias = "hpa")]
    pub struct Hpa(u64) as Address;
}
