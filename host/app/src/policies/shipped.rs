//! The components that ship with the host.

/// By name. A file of that name in the operator's folder takes the place of one, even a broken file: the operator meant
/// to replace it.
pub(crate) const SHIPPED: &[(&str, &[u8])] = &[
    ("surge", include_bytes!("../../../../policies/dist/surge.wasm")),
    ("dutch", include_bytes!("../../../../policies/dist/dutch.wasm")),
];
