//! Who is who on a chain for developers.

use anyhow::Context;
use bourse_chain::Signer;

/// Private keys of the first accounts that anvil gives coins to, in hex. Everybody knows them: they come from the words
/// that ganache has always used.
const KEYS: [&str; 8] = [
    "4f3edf983ac636a65a842ce7c78d9aa706d3b113bce9c46f30d7d21715b23b1d",
    "6cbed15c793ce57650b9877cf6fa156fbef513c4e6134f022a85b1ffdd59b2a1",
    "6370fd033278c143179d81c5526140625662b8daa446c22ee2d73db3707e620c",
    "646f1ce2fdad0e6deeeb5c7e8e5543bdde65e86029e2fd9fc169899c440a7913",
    "add53f9a7e588d003326d1cbf9e4a43c061aadd9bc938c843a79e7b4fd2ad743",
    "395df67f0c2d2d9fe1ad08d1bc8b6627011959b79c53d7dd6a3536a33ab8a4fd",
    "e485d098507f54e7733a205420dfddbe58db035fa577fc294ebd14db90767a52",
    "a453611d9419d0e56f499079478fd72c37b251a94bfde4d19872c44cf65386e3",
];

/// The parties. All have coins for gas; who has tokens and which rights is for the set-up to say.
#[derive(Debug, Clone)]
pub struct Parties {
    /// Deploys the contracts: has all tokens at first, and receives the network's contributions.
    pub organization: Signer,
    /// Owns the market.
    pub owner: Signer,
    /// A market maker, for chains that do not bring their own.
    pub marketmaker: Signer,
    /// The member that buys.
    pub buyer: Signer,
    /// The member that sells.
    pub seller: Signer,
    /// Signs for the buyer.
    pub buyer_delegate: Signer,
    /// Signs for the seller.
    pub seller_delegate: Signer,
    /// Nobody in particular.
    pub stranger: Signer,
}

impl Parties {
    /// The parties of every chain for developers.
    ///
    /// # Errors
    ///
    /// None that could happen: the keys are constants.
    pub fn well_known() -> anyhow::Result<Self> {
        let [
            organization,
            owner,
            marketmaker,
            buyer,
            seller,
            buyer_delegate,
            seller_delegate,
            stranger,
        ] = KEYS;
        Ok(Self {
            organization: signer(organization)?,
            owner: signer(owner)?,
            marketmaker: signer(marketmaker)?,
            buyer: signer(buyer)?,
            seller: signer(seller)?,
            buyer_delegate: signer(buyer_delegate)?,
            seller_delegate: signer(seller_delegate)?,
            stranger: signer(stranger)?,
        })
    }
}

fn signer(digits: &str) -> anyhow::Result<Signer> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(digits, &mut bytes).context("a constant is no hex")?;
    Ok(Signer::from_bytes(&bytes)?)
}
