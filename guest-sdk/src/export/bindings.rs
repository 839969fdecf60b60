//! Bindings of the WIT package: one world for the imports, and one for each interface that a component can export.
//!
//! A world of `wit/policy.wit` holds a whole combination of hooks, and its exports are mandatory. Taken one by one, the
//! interfaces make every combination without their code being generated for each. What a component contains says so in
//! a section of its own, only where an `export!` is used; the sections of one component add up.

#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::indexing_slicing,
    reason = "wit-bindgen writes it, and calls across the border of a component are unsafe by nature"
)]

/// What a policy may import. A component keeps what its code uses.
pub mod imports {
    wit_bindgen::generate!({
        path: "wit",
        world: "imports",
        generate_all,
    });
}

pub mod describe {
    wit_bindgen::generate!({
        path: "wit",
        inline: "package bourse:sdk; world described { export bourse:policy/describe@1.0.0; }",
        pub_export_macro: true,
        export_macro_name: "export_described",
        default_bindings_module: "bourse::__private::describe",
    });
}

pub mod pricing {
    wit_bindgen::generate!({
        path: "wit",
        inline: "package bourse:sdk; world prices { export bourse:policy/pricing@1.0.0; }",
        pub_export_macro: true,
        export_macro_name: "export_prices",
        default_bindings_module: "bourse::__private::pricing",
        with: { "bourse:policy/types@1.0.0": crate::export::bindings::imports::bourse::policy::types },
    });
}

pub mod offers {
    wit_bindgen::generate!({
        path: "wit",
        inline: "package bourse:sdk; world lists { export bourse:policy/offers@1.0.0; }",
        pub_export_macro: true,
        export_macro_name: "export_lists",
        default_bindings_module: "bourse::__private::offers",
        with: { "bourse:policy/types@1.0.0": crate::export::bindings::imports::bourse::policy::types },
    });
}

pub mod consent {
    wit_bindgen::generate!({
        path: "wit",
        inline: "package bourse:sdk; world consents { export bourse:policy/consent@1.0.0; }",
        pub_export_macro: true,
        export_macro_name: "export_consents",
        default_bindings_module: "bourse::__private::consent",
        with: { "bourse:policy/types@1.0.0": crate::export::bindings::imports::bourse::policy::types },
    });
}
