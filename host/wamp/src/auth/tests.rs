//! What other implementations sign, and what must never admit.

use proptest::prelude::*;

use super::hash::unhex;
use super::*;
use crate::message::Message;
use crate::value::{Dict, Value};

/// Cheap, for tests.
const KDF: Kdf = Kdf::Argon2id13 {
    iterations: 4_096,
    memory: 16,
};

fn dict<const N: usize>(entries: [(&str, Value); N]) -> Dict {
    entries.map(|(name, value)| (name.to_owned(), value)).into()
}

fn public_key(key: &CryptosignKey) -> Credential {
    Credential::PublicKey(key.public_key())
}

/// A client and what a router keeps of it, by each method.
fn pairs() -> Vec<(Auth, Credential)> {
    let secret = Secret::from("correct horse");
    let salting = Salting {
        salt: "salt123".to_owned(),
        iterations: 100,
        key_length: 32,
    };
    let key = CryptosignKey::from_seed(&[7; 32]);
    let scram = |kdf| Credential::Scram(ScramRecord::derive(&secret, kdf, b"sixteen bytes...").unwrap());
    vec![
        (Auth::Ticket(secret.clone()), Credential::Ticket(secret.clone())),
        (
            Auth::Cra(secret.clone()),
            Credential::Cra(CraKey::plain(secret.clone())),
        ),
        (
            Auth::Cra(secret.clone()),
            Credential::Cra(CraKey::derive(&secret, salting).unwrap()),
        ),
        (Auth::Scram(secret.clone()), scram(KDF)),
        (
            Auth::Scram(secret.clone()),
            scram(Kdf::Pbkdf2 { iterations: 4_096 }),
        ),
        (Auth::Cryptosign(key.clone()), public_key(&key)),
    ]
}

fn wrong(auth: &Auth) -> Auth {
    let secret = Secret::from("correct horsf");
    match auth {
        Auth::Anonymous => Auth::Anonymous,
        Auth::Ticket(_) => Auth::Ticket(secret),
        Auth::Cra(_) => Auth::Cra(secret),
        Auth::Scram(_) => Auth::Scram(secret),
        Auth::Cryptosign(_) => Auth::Cryptosign(CryptosignKey::from_seed(&[8; 32])),
    }
}

/// One handshake, up to what the router waits for and the client answers.
struct Handshake {
    joiner: Joiner,
    proving: Proving,
    method: &'static str,
    details: Dict,
}

impl Handshake {
    fn begin(auth: Auth, credential: Credential, fresh: [u8; 32], channel: Option<[u8; 32]>) -> Self {
        let method = auth.method();
        let joiner = Joiner::new("realm1", Some("alice"), auth, Dict::new(), channel, [9; 16]).unwrap();
        let Message::Hello { details: hello, .. } = joiner.hello(Dict::new()) else {
            panic!("not a HELLO");
        };
        let extra = hello
            .get("authextra")
            .and_then(Value::as_map)
            .cloned()
            .unwrap_or_default();
        let claim = Claim {
            method,
            authid: Some("alice"),
            extra: &extra,
            channel,
        };
        let sound = claim.check().unwrap();
        let (proving, details) = Proving::begin(credential, "alice", 1, &sound, fresh);
        Self {
            joiner,
            proving,
            method: method.name(),
            details,
        }
    }

    fn answer(&mut self) -> String {
        match self.joiner.challenge(self.method, &self.details).unwrap() {
            Message::Authenticate { signature, .. } => signature,
            other => panic!("not an AUTHENTICATE: {other:?}"),
        }
    }
}

#[test]
fn a_right_proof_admits_by_every_method() {
    for (auth, credential) in pairs() {
        let mut handshake = Handshake::begin(auth, credential, [1; 32], None);
        let answer = handshake.answer();
        let extra = handshake.proving.finish(&answer).expect(handshake.method);
        let welcome = dict([("authid", "alice".into()), ("authextra", extra.into())]);
        assert!(handshake.joiner.welcome(1, welcome).is_ok());
    }
}

#[test]
fn a_wrong_secret_never_admits() {
    for (auth, credential) in pairs() {
        let mut handshake = Handshake::begin(wrong(&auth), credential, [1; 32], None);
        let answer = handshake.answer();
        assert!(handshake.proving.finish(&answer).is_none(), "{auth:?}");
    }
}

#[test]
fn a_proof_of_another_challenge_never_admits() {
    for (auth, credential) in pairs() {
        if matches!(auth, Auth::Ticket(_)) {
            continue;
        }
        let mut earlier = Handshake::begin(auth.clone(), credential.clone(), [1; 32], None);
        let later = Handshake::begin(auth.clone(), credential, [2; 32], None);
        let answer = earlier.answer();
        assert!(later.proving.finish(&answer).is_none(), "{auth:?}");
    }
}

#[test]
fn a_proof_over_another_connection_never_admits() {
    let (auth, credential) = pairs().pop().unwrap();
    let begin = |channel| Handshake::begin(auth.clone(), credential.clone(), [1; 32], channel);
    let mut bound = begin(Some([3; 32]));
    let answer = bound.answer();
    assert!(begin(Some([4; 32])).proving.finish(&answer).is_none());
    assert!(begin(None).proving.finish(&answer).is_none());
    assert!(bound.proving.finish(&answer).is_some());
}

#[test]
fn nobody_passes_a_decoys_challenge_and_it_is_always_the_same() {
    for (auth, like) in pairs() {
        let decoy = || Credential::decoy(&[5; 32], like.method(), "alice", Some(&like));
        let mut handshake = Handshake::begin(auth.clone(), decoy(), [1; 32], None);
        let again = Handshake::begin(auth.clone(), decoy(), [1; 32], None);
        let real = Handshake::begin(auth.clone(), like.clone(), [1; 32], None);
        assert_eq!(handshake.details, again.details);
        assert!(handshake.details.keys().eq(real.details.keys()));
        for name in ["iterations", "memory", "kdf", "keylen"] {
            assert_eq!(handshake.details.get(name), real.details.get(name));
        }
        let answer = handshake.answer();
        assert!(handshake.proving.finish(&answer).is_none(), "{auth:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_proof_that_is_cut_or_changed_never_admits(at in any::<prop::sample::Index>(), to in "[0-9a-zA-Z+/=é]?") {
        for (auth, credential) in pairs() {
            let mut handshake = Handshake::begin(auth.clone(), credential, [1; 32], None);
            let answer = handshake.answer();
            let at = at.index(answer.len());
            let (kept, rest) = answer.split_at(at);
            let changed: String = kept.chars().chain(to.chars()).chain(rest.chars().skip(1)).collect();
            // Hex in capitals is the same proof.
            prop_assume!(!changed.eq_ignore_ascii_case(&answer));
            prop_assert!(handshake.proving.finish(&changed).is_none(), "{auth:?}: {changed}");
        }
    }
}

#[test]
fn a_challenge_of_another_method_or_a_second_one_is_refused() {
    for (auth, credential) in pairs() {
        let mut handshake = Handshake::begin(auth.clone(), credential, [1; 32], None);
        for method in [
            "anonymous",
            "ticket",
            "wampcra",
            "wamp-scram",
            "cryptosign",
            "trusted",
            "x",
        ] {
            if method != handshake.method {
                let answer = handshake.joiner.challenge(method, &handshake.details);
                assert!(answer.unwrap_err().0.contains("offered was"), "{method}");
            }
        }
        handshake.answer();
        assert!(
            handshake
                .joiner
                .challenge(handshake.method, &handshake.details)
                .is_err()
        );
    }
    let mut anonymous = Joiner::new("realm1", None, Auth::Anonymous, Dict::new(), None, [0; 16]).unwrap();
    assert!(anonymous.challenge("anonymous", &Dict::new()).is_err());
}

#[test]
fn a_router_that_does_not_know_the_password_is_refused() {
    for (auth, credential) in pairs() {
        if !matches!(auth, Auth::Scram(_)) {
            continue;
        }
        let begin = || Handshake::begin(auth.clone(), credential.clone(), [1; 32], None);
        let silent = begin();
        assert!(
            silent.joiner.welcome(1, Dict::new()).is_err(),
            "a WELCOME without a CHALLENGE"
        );
        let mut forgetful = begin();
        forgetful.answer();
        assert!(
            forgetful.joiner.welcome(1, Dict::new()).is_err(),
            "a WELCOME without a verifier"
        );
        let mut wrong = begin();
        wrong.answer();
        let extra = dict([("verifier", "AAAA".into())]);
        assert!(
            wrong
                .joiner
                .welcome(1, dict([("authextra", extra.into())]))
                .is_err()
        );
    }
}

#[test]
fn a_router_that_asks_for_too_much_or_too_little_work_is_refused() {
    let ask = |kdf: &str, iterations: u64, memory: u64| {
        use base64::Engine as _;
        let nonce = base64::engine::general_purpose::STANDARD.encode([9; 32]);
        let details = dict([
            ("nonce", nonce.into()),
            ("kdf", kdf.into()),
            ("salt", "c2l4dGVlbiBieXRlcy4uLg==".into()),
            ("iterations", iterations.into()),
            ("memory", memory.into()),
        ]);
        scram::respond(&"p".into(), "alice", &[9; 16], &details).err()
    };
    assert_eq!(ask("pbkdf2", 4_096, 0), None);
    assert!(ask("pbkdf2", 1, 0).is_some());
    assert!(ask("pbkdf2", 1 << 40, 0).is_some());
    assert!(ask("pbkdf2", 20_000_000, 0).is_some());
    assert!(ask("argon2id-13", 1, 8).is_some());
    assert!(ask("argon2id-13", 1, 1 << 30).is_some());
    assert!(ask("argon2id-13", 1_000_000, 200_000).is_some());
    assert!(ask("bcrypt", 4_096, 0).is_some());
}

#[test]
fn secrets_are_not_shown() {
    for (auth, credential) in pairs() {
        let shown = format!("{auth:?} {credential:?}");
        assert!(!shown.contains("horse") && !shown.contains("99, 111"), "{shown}");
    }
}

/// Of autobahn-python 26.10.2, test_wamp_cryptosign: private key, challenge, channel id, answer.
const CRYPTOSIGN: [(&str, &str, Option<&str>, &str); 6] = [
    (
        "4d57d97a68f555696620a6d849c0ce582568518d729eb753dc7c732de2804510",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        None,
        "b32675b221f08593213737bef8240e7c15228b07028e19595294678c90d11c0cae80a357331bfc5cc9fb71081464e6e75013517c2cf067ad566a6b7b728e5d03ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ),
    (
        "d511fe78e23934b3dadb52fcd022974b80bd92bccc7c5cf404e46cc0a8a2f5cd",
        "b26c1f87c13fc1da14997f1b5a71995dff8fbe0a62fae8473c7bdbd05bfb607d",
        None,
        "d4209ad10d5aff6bfbc009d7e924795de138a63515efc7afc6b01b7fe5201372190374886a70207b042294af5bd64ce725cd8dceb344e6d11c09d1aaaf4d660fb26c1f87c13fc1da14997f1b5a71995dff8fbe0a62fae8473c7bdbd05bfb607d",
    ),
    (
        "6e1fde9cf9e2359a87420b65a87dc0c66136e66945196ba2475990d8a0c3a25b",
        "b05e6b8ad4d69abf74aa3be3c0ee40ae07d66e1895b9ab09285a2f1192d562d2",
        None,
        "7beb282184baadd08f166f16dd683b39cab53816ed81e6955def951cb2ddad1ec184e206746fd82bda075af03711d3d5658fc84a76196b0fa8d1ebc92ef9f30bb05e6b8ad4d69abf74aa3be3c0ee40ae07d66e1895b9ab09285a2f1192d562d2",
    ),
    (
        "4d57d97a68f555696620a6d849c0ce582568518d729eb753dc7c732de2804510",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        Some("62e935ae755f3d48f80d4d59f6121358c435722a67e859cc0caa8b539027f2ff"),
        "9b6f41540c9b95b4b7b281c3042fa9c54cef43c842d62ea3fd6030fcb66e70b3e80d49d44c29d1635da9348d02ec93f3ed1ef227dfb59a07b580095c2b82f80f9d16ca518aa0c2b707f2b2a609edeca73bca8dd59817a633f35574ac6fd80d00",
    ),
    (
        "d511fe78e23934b3dadb52fcd022974b80bd92bccc7c5cf404e46cc0a8a2f5cd",
        "b26c1f87c13fc1da14997f1b5a71995dff8fbe0a62fae8473c7bdbd05bfb607d",
        Some("62e935ae755f3d48f80d4d59f6121358c435722a67e859cc0caa8b539027f2ff"),
        "305aaa3ac25e98f651427688b3fc43fe7d8a68a7ec1d7d61c61517c519bd4a427c3015599d83ca28b4c652333920223844ef0725eb5dc2febfd6af7677b73f01d0852a29b460fc92ec943242ac638a053bbacc200512b18b30d15083cbdc9282",
    ),
    (
        "6e1fde9cf9e2359a87420b65a87dc0c66136e66945196ba2475990d8a0c3a25b",
        "b05e6b8ad4d69abf74aa3be3c0ee40ae07d66e1895b9ab09285a2f1192d562d2",
        Some("62e935ae755f3d48f80d4d59f6121358c435722a67e859cc0caa8b539027f2ff"),
        "ee3c7644fd8070532bc1fde3d70d742267da545d8c8f03e63bda63f1ad4214f4d2c4bfdb4eb9526def42deeb7e31602a6ff99eba893e0a4ad4d45892ca75e608d2b75e24a189a7f78ca776ba36fc53f6c3e31c32f251f2c524f0a44202f2902d",
    ),
];

#[test]
fn cryptosign_signs_as_autobahn_does() {
    for (private, challenge, channel, answer) in CRYPTOSIGN {
        let key = CryptosignKey::from_hex(private).unwrap();
        let channel = channel.map(|channel| unhex(channel).unwrap());
        let raw = unhex(challenge).unwrap();
        let details = dict([("challenge", challenge.into())]);
        assert_eq!(
            cryptosign::respond(&key, &details, channel.as_ref()).unwrap(),
            answer
        );
        assert!(cryptosign::verify(
            &key.public_key(),
            &raw,
            channel.as_ref(),
            answer
        ));
    }
}

#[test]
fn wampcra_signs_and_derives_as_autobahn_does() {
    let secret = Secret::from("L3L1YUE8Txlw");
    let details = dict([("challenge", "[1, 2, 3]".into())]);
    assert_eq!(
        cra::respond(&secret, &details).unwrap(),
        "1njQtmmeYO41N5EWEzD2kAjjEKRZ5kPZt/TzpYXOzR0="
    );
    let salting = Salting {
        salt: "salt123".to_owned(),
        iterations: 1_000,
        key_length: 32,
    };
    let derived = CraKey::derive(&secret, salting).unwrap();
    assert!(derived.key().is(b"qzcdsr9uu/L5hnss3kjNTRe490ETgA70ZBaB5rvnJ5Y="));
}

#[test]
fn scram_derives_as_autobahn_does() {
    let cases = [
        (
            "3bc3ca01dd1d501ca1c22e1c5d7d16fe",
            "e796c2f0a51770303ee4616bc630a66774d51a55003154aff2a54ec7c4ac0e38",
            "8de7864c316f3c2356fd76cfdab696db55bc70e680fe5180e2f731e2345acca2",
        ),
        (
            "ae1f0d2f422757809077785e660b62c6",
            "5f19358ff6f38e267b6ef1ea1d862514ec4e8745a84682259fd3894be09febb5",
            "0d8e7e9222a7c0e54c9e979aa342115699ff5696c45dc379b5ee241338a5861d",
        ),
    ];
    for (salt, stored, server) in cases {
        let salt: [u8; 16] = unhex(salt).unwrap();
        let record = ScramRecord::derive(&"secret123".into(), Kdf::AUTOBAHN, &salt).unwrap();
        assert_eq!(hex::encode(record.stored_key), stored);
        assert_eq!(hex::encode(record.server_key), server);
    }
    let key = hash::pbkdf2(b"p4ssw0rd", b"1234567890abcdef", 8, 32);
    assert_eq!(
        hex::encode(key),
        "f6991a28c75f43751e0d75499fd7b8649f659118ddc1d61cee5883af547d15f5"
    );
}
