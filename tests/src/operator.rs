//! An operator whose token a market's console knows.

use bourse_app::config::Config;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The token.
pub const TOKEN: &str = "a-token-that-only-the-operator-has";

/// Puts the token into a data folder.
pub fn write_token(data: &Path) {
    let file = data.join("operator.token");
    std::fs::write(&file, TOKEN).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Has a market know it.
pub fn with_token(config: &mut Config) {
    config.http.token_file = Some(config.store.path.join("operator.token"));
}

/// Puts a policy into a data folder.
pub fn write_policy(data: &Path, name: &str, component: &[u8]) {
    let folder = data.join("policies");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.wasm")), component).unwrap();
}
