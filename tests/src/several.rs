//! Two markets in one process, in the realms `corn` and `salt`.

use crate::buyer::Buyer;
use crate::calls::tokens;
use crate::seller::Seller;
use crate::world::World;
use bourse_app::config::Config;
use bourse_market::KeyId;
use bourse_wamp::{Dict, Value};
use std::path::{Path, PathBuf};

/// Two markets as an operator writes them down, in `folder`, with this in their `[wamp]`: the file, and what is read from it.
pub fn corn_and_salt(folder: &Path, wamp: &str) -> (PathBuf, Vec<Config>) {
    let file = folder.join("bourse.toml");
    let data = folder.display();
    let text = format!(
        r#"
        [wamp]
        {wamp}
        [http]
        listen = "127.0.0.1:0"
        [store]
        map_size = 268435456
        [[market]]
        realm.name = "corn"
        store.path = "{data}/corn"
        [[market]]
        realm.name = "salt"
        store.path = "{data}/salt"
        sell_deadline_ms = 5000
        "#
    );
    std::fs::write(&file, text).unwrap();
    let markets = Config::load_all(Some(&file), std::iter::empty()).unwrap();
    (file, markets)
}

/// A seller and a buyer who trade `key`, which others may offer elsewhere as well.
pub async fn trade_one(world: &World, key: KeyId) -> (Seller, Buyer) {
    let seller = Seller::new(world, tokens(100)).await;
    let own = Dict::from([("key_id".to_owned(), Value::from(key.0))]);
    assert_eq!(seller.try_offer(Some(tokens(2)), own).await.unwrap(), key);
    let mut buyer = Buyer::new(world, tokens(50)).await;
    buyer.buy(key).await.unwrap();
    (seller, buyer)
}
