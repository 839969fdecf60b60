use super::*;

/// The passphrase of the definition's vectors, their key, and its address.
const PASSPHRASE: &str = "testpassword";
const KEY: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
const ADDRESS: &str = "008aeeda4d805471df9b2a5b0f38a0c3bcba786b";

/// The definition's vector for PBKDF2.
const PBKDF2: &str = r#"{
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": { "iv": "6087dab2f9fdbbfaddc31a909735c1e6" },
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3
}"#;

/// The definition's vector for scrypt.
const SCRYPT: &str = r#"{
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": { "iv": "83dbcc02d8ccb40e466191a123791e0e" },
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "p": 8,
            "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3
}"#;

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.as_bytes().to_vec()).unwrap()
}

/// A file of ours that is cheap to open.
fn cheap() -> Value {
    let signer = Signer::from_bytes(&[0x11; 32]).unwrap();
    let kdf = Kdf::Scrypt { n: 4, r: 1, p: 1 };
    let text = seal_with(kdf, &signer, &passphrase("open"), (&[1; 32], &[2; 16], [3; 16])).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn try_open(file: &Value, with: &str) -> Result<Address, KeystoreError> {
    open(file.to_string().as_bytes(), &passphrase(with)).map(|signer| signer.address())
}

/// A cheap file with one field changed.
fn with(at: &str, value: Value) -> Value {
    let mut file = cheap();
    *file.pointer_mut(at).unwrap() = value;
    file
}

#[test]
fn the_vectors_of_the_definition_open() {
    for vector in [PBKDF2, SCRYPT] {
        let signer = open(vector.as_bytes(), &passphrase(PASSPHRASE)).unwrap();
        assert_eq!(hex::encode(signer.to_bytes()), KEY);
        assert_eq!(signer.address(), ADDRESS.parse().unwrap());
        assert_eq!(
            open(vector.as_bytes(), &passphrase("testpasswore")).unwrap_err(),
            KeystoreError::Mac
        );
    }
}

#[test]
fn what_is_sealed_matches_the_vectors_of_the_definition_and_opens_again() {
    let signer: [u8; 32] = hex::decode(KEY).unwrap().try_into().unwrap();
    let signer = Signer::from_bytes(&signer).unwrap();
    for (vector, kdf) in [
        (PBKDF2, Kdf::Pbkdf2 { c: 262_144 }),
        (
            SCRYPT,
            Kdf::Scrypt {
                n: 262_144,
                r: 1,
                p: 8,
            },
        ),
    ] {
        let vector: Value = serde_json::from_str(vector).unwrap();
        let crypto = vector.get("crypto").unwrap();
        let salt: [u8; 32] = bytes(crypto, "/kdfparams/salt", "salt", "").unwrap();
        let iv: [u8; 16] = bytes(crypto, "/cipherparams/iv", "iv", "").unwrap();
        let sealed = seal_with(kdf, &signer, &passphrase(PASSPHRASE), (&salt, &iv, [9; 16])).unwrap();
        let sealed: Value = serde_json::from_str(&sealed).unwrap();
        assert_eq!(sealed.get("crypto"), Some(crypto));
        assert_eq!(sealed.get("address"), Some(&json!(ADDRESS)));
        try_open(&sealed, PASSPHRASE).unwrap();
    }
}

#[test]
fn no_two_files_are_alike_and_none_shows_its_key() {
    let signer = Signer::from_bytes(&[0xab; 32]).unwrap();
    let sealed = [(); 2].map(|()| seal(&signer, &passphrase("open")).unwrap());
    let files = sealed
        .each_ref()
        .map(|text| serde_json::from_str::<Value>(text).unwrap());
    for at in [
        "/id",
        "/crypto/ciphertext",
        "/crypto/cipherparams/iv",
        "/crypto/kdfparams/salt",
    ] {
        assert_ne!(
            files[0].pointer(at).unwrap(),
            files[1].pointer(at).unwrap(),
            "{at}"
        );
    }
    assert!(!sealed[0].contains(&"ab".repeat(8)), "{}", sealed[0]);
    assert_eq!(try_open(&files[0], "open"), Ok(signer.address()));
    assert_eq!(try_open(&files[0], "Open"), Err(KeystoreError::Mac));
}

#[test]
fn a_file_that_was_tampered_with_does_not_open() {
    assert!(try_open(&cheap(), "open").is_ok());
    for (at, digits) in [
        ("/crypto/mac", 64),
        ("/crypto/ciphertext", 64),
        ("/crypto/kdfparams/salt", 64),
    ] {
        let file = with(at, json!("5".repeat(digits)));
        assert_eq!(try_open(&file, "open"), Err(KeystoreError::Mac), "{at}");
    }
    // The hash does not cover the initial vector; the address does.
    let held = try_open(&with("/crypto/cipherparams/iv", json!("5".repeat(32))), "open").unwrap_err();
    assert!(matches!(held, KeystoreError::Address { .. }), "{held}");
}

#[test]
fn the_address_must_be_that_of_the_key_if_it_is_there() {
    let own = Signer::from_bytes(&[0x11; 32]).unwrap().address();
    let other = Address([7; 20]);
    for said in [json!(other), json!(hex::encode([7; 20]))] {
        let error = try_open(&with("/address", said), "open").unwrap_err();
        assert_eq!(
            error,
            KeystoreError::Address {
                said: other,
                held: own
            }
        );
        assert!(
            error.to_string().contains(&checksum(own)) && error.to_string().contains(&checksum(other)),
            "{error}"
        );
    }
    for said in [json!(checksum(own)), json!(own), Value::Null] {
        assert_eq!(try_open(&with("/address", said), "open"), Ok(own));
    }
    for said in [json!(""), json!("0x12"), json!(7)] {
        let error = try_open(&with("/address", said), "open").unwrap_err();
        assert!(
            matches!(error, KeystoreError::Field { field: "address", .. }),
            "{error}"
        );
    }
    let mut unsaid = cheap();
    unsaid.as_object_mut().unwrap().remove("address");
    assert_eq!(try_open(&unsaid, "open"), Ok(own));
}

#[test]
fn absurd_costs_are_refused_before_they_are_paid() {
    let most = u64::MAX;
    for (n, r, p) in [
        (most, 8, 1),
        (1 << 63, 8, 1),
        (1 << 40, 8, 1),
        (1 << 20, 8, 1),
        (1 << 18, 8, 8),
        (1 << 18, most, 1),
        (1 << 18, 8, most),
        (2, 1 << 30, 1),
        (2, 1, 1 << 30),
        (2, 1 << 31, 1 << 31),
        (0, 8, 1),
        (1, 8, 1),
        (3, 8, 1),
        ((1 << 18) + 1, 8, 1),
        (4, 0, 1),
        (4, 1, 0),
    ] {
        let mut file = with("/crypto/kdfparams/n", json!(n));
        *file.pointer_mut("/crypto/kdfparams/r").unwrap() = json!(r);
        *file.pointer_mut("/crypto/kdfparams/p").unwrap() = json!(p);
        let error = try_open(&file, "open").unwrap_err();
        assert_eq!(error, KeystoreError::Scrypt { n, r, p });
        assert!(
            error.to_string().contains(&format!("n = {n}, r = {r}, p = {p}")),
            "{error}"
        );
    }
    for c in [0, u64::from(MAX_PBKDF2_ROUNDS) + 1, most] {
        let mut file = with("/crypto/kdf", json!("pbkdf2"));
        *file.pointer_mut("/crypto/kdfparams").unwrap() =
            json!({ "c": c, "dklen": 32, "prf": PRF, "salt": "00" });
        assert_eq!(try_open(&file, "open"), Err(KeystoreError::Pbkdf2 { c }));
    }
    // What wallets write is not refused.
    for (n, r, p) in [
        (1 << 18, 8, 1),
        (1 << 18, 1, 8),
        (1 << 17, 8, 1),
        (1 << 12, 8, 6),
        (1 << 13, 8, 1),
    ] {
        assert!(scrypt_params(n, r, p).is_some(), "{n} {r} {p}");
    }
}

#[test]
fn what_is_wrong_is_named_and_never_repeated_at_length() {
    let (secret, start) = ("ab".repeat(32), &"ab".repeat(10));
    for (file, why) in [
        (json!({}), "`version`"),
        (json!([1]), "`version`"),
        (json!({ "version": 3 }), "`crypto.cipher`"),
        (json!({ "version": 3, "crypto": secret }), "`crypto.cipher`"),
        (json!({ "version": 3, "privateKey": secret }), "`crypto.cipher`"),
        (with("/version", json!(1)), "`version` is `1`: expected 3"),
        (with("/version", json!(secret)), "`version`"),
        (
            with("/crypto/cipher", json!("aes-128-cbc")),
            "`aes-128-cbc`: expected aes-128-ctr",
        ),
        (with("/crypto/cipher", json!(secret)), "expected aes-128-ctr"),
        (
            with("/crypto/kdf", json!("argon2id")),
            "`argon2id`: expected scrypt or pbkdf2",
        ),
        (with("/crypto/kdf", json!(secret)), "expected scrypt or pbkdf2"),
        (with("/crypto/kdfparams/dklen", json!(16)), "expected 32 or more"),
        (with("/crypto/kdfparams/n", json!(-4)), "`crypto.kdfparams.n`"),
        (with("/crypto/kdfparams/n", json!(4.5)), "`crypto.kdfparams.n`"),
        (
            with("/crypto/kdfparams/salt", json!("salt")),
            "`crypto.kdfparams.salt`",
        ),
        (
            with("/crypto/ciphertext", json!("ab".repeat(31))),
            "expected 64 hex digits",
        ),
        (
            with("/crypto/ciphertext", json!("ab".repeat(33))),
            "expected 64 hex digits",
        ),
        (
            with("/crypto/cipherparams/iv", json!("ab".repeat(12))),
            "expected 32 hex digits",
        ),
        (
            with("/crypto/mac", json!(secret.replace('a', "x"))),
            "expected 64 hex digits",
        ),
    ] {
        let error = try_open(&file, "open").unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        assert!(!error.contains(start), "{error}");
    }
    let error = open(
        format!("{{\"version\": 3, \"{secret}\"").as_bytes(),
        &passphrase("open"),
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("line 1") && !error.contains(start), "{error}");
}

#[test]
fn wallets_that_write_crypto_with_a_capital_are_read_too() {
    let mut file = cheap();
    let fields = file.as_object_mut().unwrap();
    let crypto = fields.remove("crypto").unwrap();
    fields.insert("Crypto".to_owned(), crypto);
    assert!(try_open(&file, "open").is_ok());
}
