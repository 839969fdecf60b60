//! The components that ship with the host.

/// By name. A file of that name in the operator's folder takes the place of one, even a broken file: the operator meant
/// to replace it.
pub(crate) const SHIPPED: &[(&str, &[u8])] = &[
    ("surge", include_bytes!("../../../../policies/dist/surge.wasm")),
    ("dutch", include_bytes!("../../../../policies/dist/dutch.wasm")),
    ("tiered", include_bytes!("../../../../policies/dist/tiered.wasm")),
    (
        "subscription",
        include_bytes!("../../../../policies/dist/subscription.wasm"),
    ),
    (
        "auction-floor",
        include_bytes!("../../../../policies/dist/auction-floor.wasm"),
    ),
    (
        "fair-share",
        include_bytes!("../../../../policies/dist/fair-share.wasm"),
    ),
    (
        "quality-filter",
        include_bytes!("../../../../policies/dist/quality-filter.wasm"),
    ),
    (
        "purpose-consent",
        include_bytes!("../../../../policies/dist/purpose-consent.wasm"),
    ),
    (
        "geo-fence",
        include_bytes!("../../../../policies/dist/geo-fence.wasm"),
    ),
    ("quota", include_bytes!("../../../../policies/dist/quota.wasm")),
];
