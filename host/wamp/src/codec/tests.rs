use num_bigint::BigInt;
use proptest::prelude::*;

use super::*;
use crate::integer::{Integer, MAX_INTEGER_BYTES};
use crate::message::{Message, payload};

fn integers() -> impl Strategy<Value = Integer> {
    prop_oneof![
        any::<i64>().prop_map(Integer::from),
        any::<u64>().prop_map(Integer::from),
        any::<i128>().prop_map(Integer::from),
        (any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(negative, bytes)| {
            let value = BigInt::from_bytes_be(num_bigint::Sign::Plus, &bytes);
            Integer::from(if negative { -value } else { value })
        }),
        prop::sample::select(vec![
            BigInt::from(i64::MIN),
            BigInt::from(i64::MIN) - 1,
            BigInt::from(u64::MAX),
            BigInt::from(u64::MAX) + 1,
            -BigInt::from(u64::MAX) - 1,
            -BigInt::from(u64::MAX) - 2,
            BigInt::from(35) * BigInt::from(10_u64.pow(18)),
        ])
        .prop_map(Integer::from),
    ]
}

fn values(wide: bool) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        integers()
            .prop_filter("fits 64 bits", move |value| wide
                || value.as_i64().is_some()
                || value.as_u64().is_some())
            .prop_map(Value::Int),
        prop::num::f64::NORMAL.prop_map(Value::Float),
        Just(Value::Float(1.0)),
        Just(Value::Float(-0.0)),
        "[^\0]\\PC{0,40}".prop_map(Value::Str),
        "[\u{1}-\u{10ffff}]{0,20}".prop_map(Value::Str),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::List),
            prop::collection::btree_map("\\PC{0,12}", inner, 0..20).prop_map(Value::Map),
        ]
    })
}

fn messages(wide: bool) -> impl Strategy<Value = Message> {
    let dict = || prop::collection::btree_map("[a-z_]{1,8}", values(true), 0..3);
    (prop::collection::vec(values(wide), 0..4), dict(), 1..=1_u64 << 53).prop_map(
        move |(args, kwargs, request)| {
            let kwargs = if wide { kwargs } else { Dict::new() };
            Message::Call {
                request,
                options: Dict::new(),
                procedure: "xbr.marketmaker.buy_key".into(),
                payload: payload(args, kwargs),
            }
        },
    )
}

fn frame(serializer: Serializer, message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    message.encode(serializer, &mut frame).unwrap();
    frame
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn cbor_and_json_carry_every_value_exactly(message in messages(true)) {
        for serializer in [Serializer::Cbor, Serializer::Json] {
            let frame = frame(serializer, &message);
            prop_assert_eq!(&Message::decode(serializer, &frame).unwrap(), &message);
        }
    }

    #[test]
    fn msgpack_carries_every_value_up_to_64_bits_exactly(message in messages(false)) {
        let frame = frame(Serializer::MsgPack, &message);
        prop_assert_eq!(&Message::decode(Serializer::MsgPack, &frame).unwrap(), &message);
    }

    #[test]
    fn other_readers_accept_what_we_write(message in messages(false)) {
        ciborium::from_reader::<ciborium::Value, _>(frame(Serializer::Cbor, &message).as_slice()).unwrap();
        rmpv::decode::read_value(&mut frame(Serializer::MsgPack, &message).as_slice()).unwrap();
        serde_json::from_slice::<serde_json::Value>(&frame(Serializer::Json, &message)).unwrap();
    }

    #[test]
    fn random_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for serializer in Serializer::ALL {
            let _ = Message::decode(serializer, &bytes);
        }
    }
}

#[test]
fn msgpack_refuses_an_integer_beyond_64_bits_by_name() {
    let message = Message::Yield {
        request: 1,
        options: Dict::new(),
        payload: payload(vec![Value::from(35_000_000_000_000_000_000_u128)], Dict::new()),
    };
    let error = message.encode(Serializer::MsgPack, &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the integer 35000000000000000000 does not fit the 64 bits of MessagePack; \
         send it as bytes, or use CBOR or JSON"
    );
}

#[test]
fn a_real_sellers_bignum_is_read_exactly() {
    // cbor2.dumps([70, 9, {}, [35 * 10**18]])
    let frame = [
        &[0x84, 0x18, 70, 9, 0xa0, 0x81, 0xc2, 0x49][..],
        &[0x01, 0xe5, 0xb8, 0xfa, 0x8f, 0xe2, 0xac, 0, 0],
    ]
    .concat();
    let Message::Yield {
        payload: Some(arguments),
        ..
    } = Message::decode(Serializer::Cbor, &frame).unwrap()
    else {
        panic!("not a YIELD");
    };
    assert_eq!(arguments.args, vec![Value::from(35_000_000_000_000_000_000_u128)]);
    let json = br#"[70,9,{},[35000000000000000000, -35000000000000000000]]"#;
    let Message::Yield {
        payload: Some(arguments),
        ..
    } = Message::decode(Serializer::Json, json).unwrap()
    else {
        panic!("not a YIELD");
    };
    assert_eq!(
        arguments.args,
        vec![
            Value::from(35_000_000_000_000_000_000_u128),
            Value::Int((-35_000_000_000_000_000_000_i128).into())
        ]
    );
}

#[test]
fn bytes_in_json_are_nul_and_base64() {
    let message = Message::Yield {
        request: 1,
        options: Dict::new(),
        payload: payload(vec![[16_u8, 1, 255].into()], Dict::new()),
    };
    let frame = frame(Serializer::Json, &message);
    assert_eq!(
        String::from_utf8(frame.clone()).unwrap(),
        r#"[70,1,{},["\u0000EAH/"]]"#
    );
    assert_eq!(Message::decode(Serializer::Json, &frame).unwrap(), message);
    let broken = Message::decode(Serializer::Json, br#"[70,1,{},["\u0000***"]]"#).unwrap_err();
    assert!(broken.to_string().contains("must be base64"), "{broken}");
}

#[test]
fn json_refuses_text_that_would_turn_into_bytes_and_numbers_it_has_not() {
    let write = |value: Value| {
        let message = Message::Yield {
            request: 1,
            options: Dict::new(),
            payload: payload(vec![value], Dict::new()),
        };
        message.encode(Serializer::Json, &mut Vec::new())
    };
    assert_eq!(write("\0AAAA".into()), Err(EncodeError::NulText));
    assert!(matches!(
        write(f64::NAN.into()),
        Err(EncodeError::NotFinite { .. })
    ));
    assert!(matches!(
        write(f64::INFINITY.into()),
        Err(EncodeError::NotFinite { .. })
    ));
}

/// `depth` lists inside each other, as an argument of a YIELD: the message and its arguments count too.
fn nested(serializer: Serializer, depth: usize) -> Vec<u8> {
    match serializer {
        Serializer::Json => [
            b"[70,1,{},[",
            "[".repeat(depth).as_bytes(),
            "]".repeat(depth).as_bytes(),
            b"]]",
        ]
        .concat(),
        Serializer::MsgPack => [&[0x94, 70, 1, 0x80, 0x91][..], &vec![0x91; depth - 1], &[0x90]].concat(),
        Serializer::Cbor => [
            &[0x84, 0x18, 70, 1, 0xa0, 0x81][..],
            &vec![0x81; depth - 1],
            &[0x80],
        ]
        .concat(),
    }
}

#[test]
fn nesting_stops_at_64_levels_in_every_format() {
    for serializer in Serializer::ALL {
        let deepest = Message::decode(serializer, &nested(serializer, MAX_DEPTH - 2)).unwrap();
        assert_eq!(
            Message::decode(serializer, &frame(serializer, &deepest)).unwrap(),
            deepest
        );
        for depth in [MAX_DEPTH - 1, 1_000, 100_000] {
            let error = Message::decode(serializer, &nested(serializer, depth)).unwrap_err();
            assert_eq!(error, DecodeError::TooDeep, "{serializer:?} at {depth}");
        }
    }
}

#[test]
fn a_value_too_deep_is_not_written_either() {
    let mut value = Value::Null;
    for _ in 0..MAX_DEPTH - 1 {
        value = Value::List(vec![value]);
    }
    for serializer in Serializer::ALL {
        let message = Message::Yield {
            request: 1,
            options: Dict::new(),
            payload: payload(vec![value.clone()], Dict::new()),
        };
        assert_eq!(
            message.encode(serializer, &mut Vec::new()),
            Err(EncodeError::TooDeep),
            "{serializer:?}"
        );
    }
}

#[test]
fn nested_tags_are_bounded_as_containers_are() {
    let frame = [0xd9, 0xd9, 0xf7].repeat(100_000);
    assert_eq!(
        Message::decode(Serializer::Cbor, &frame),
        Err(DecodeError::TooDeep)
    );
}

#[test]
fn length_prefixes_that_lie_allocate_nothing() {
    let frames: [(Serializer, &[u8]); 6] = [
        (
            Serializer::Cbor,
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        (
            Serializer::Cbor,
            &[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        (
            Serializer::Cbor,
            &[0xbb, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
        (Serializer::MsgPack, &[0xdd, 0xff, 0xff, 0xff, 0xff]),
        (Serializer::MsgPack, &[0xc6, 0xff, 0xff, 0xff, 0xff]),
        (Serializer::MsgPack, &[0xdf, 0xff, 0xff, 0xff, 0xff]),
    ];
    for (serializer, frame) in frames {
        assert_eq!(
            Message::decode(serializer, frame),
            Err(DecodeError::Truncated),
            "{frame:x?}"
        );
    }
}

#[test]
fn a_frame_of_a_million_nulls_is_refused() {
    let mut frame = vec![0xdd];
    frame.extend_from_slice(&1_000_000_u32.to_be_bytes());
    frame.resize(1_000_005, 0xc0);
    assert_eq!(
        Message::decode(Serializer::MsgPack, &frame),
        Err(DecodeError::TooManyValues)
    );
}

#[test]
fn integers_longer_than_parsers_read_are_refused_both_ways() {
    let huge = Integer::from(BigInt::from(1) << (8 * MAX_INTEGER_BYTES));
    let message = Message::Yield {
        request: 1,
        options: Dict::new(),
        payload: payload(vec![Value::Int(huge)], Dict::new()),
    };
    for serializer in [Serializer::Cbor, Serializer::Json] {
        let error = message.encode(serializer, &mut Vec::new()).unwrap_err();
        assert_eq!(
            error,
            EncodeError::IntegerTooLong {
                bytes: MAX_INTEGER_BYTES + 1
            }
        );
    }
    let mut frame = vec![0x84, 0x18, 70, 1, 0xa0, 0x81, 0xc2, 0x59, 0x40, 0x00];
    frame.resize(frame.len() + 0x4000, 0xff);
    assert_eq!(
        Message::decode(Serializer::Cbor, &frame),
        Err(DecodeError::IntegerTooLong { bytes: 0x4000 })
    );
    let frame = format!("[70,1,{{}},[{}]]", "9".repeat(100_000));
    assert!(Message::decode(Serializer::Json, frame.as_bytes()).is_err());
}

#[test]
fn what_wamp_does_not_carry_is_refused_with_a_reason() {
    let check = |serializer, frame: &[u8], expected: &str| {
        let error = Message::decode(serializer, frame).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    };
    check(
        Serializer::Cbor,
        &[0x84, 0x18, 70, 1, 0xa1, 1, 2],
        "key must be a string, not an integer",
    );
    check(
        Serializer::MsgPack,
        &[0x94, 70, 1, 0x81, 1, 2, 0x90],
        "key must be a string, not an integer",
    );
    check(
        Serializer::MsgPack,
        &[0x91, 0xd4, 1, 1],
        "MessagePack extension 0xd4",
    );
    check(Serializer::Cbor, &[0x81, 0xc1, 1], "CBOR tag 1");
    check(Serializer::Cbor, &[0x81, 0x62, 0xff, 0xff], "UTF-8");
    check(Serializer::Cbor, &[0x81, 0x01, 0x00], "1 bytes follow");
    check(Serializer::Json, b"[1,", "JSON");
    check(Serializer::Json, b"{}", "a map instead of an array");
    check(Serializer::Json, b"[]", "element 1 of message must be an id");
    check(Serializer::Json, b"[7,1]", "7 is no message type");
    check(
        Serializer::Json,
        b"[48,0,{},\"a\"]",
        "element 2 of CALL must not be 0",
    );
    check(
        Serializer::Json,
        b"[48,1,[],\"a\"]",
        "element 3 of CALL must be a map, not a list",
    );
    check(
        Serializer::Json,
        b"[48,1,{},\"a\",[],{},1]",
        "CALL has 1 elements too many",
    );
    check(
        Serializer::Json,
        b"[48,9007199254740993,{},\"a\"]",
        "at most 2^53",
    );
}

#[test]
fn indefinite_lengths_and_short_floats_are_read() {
    let frame = [
        0x9f, 0x18, 70, 1, 0xbf, 0x7f, 0x61, b'a', 0x61, b'b', 0xff, 0x5f, 0x41, 1, 0x41, 2, 0xff, 0xff,
        0x9f, 0xf9, 0x3c, 0x00, 0xfa, 0x3f, 0xc0, 0, 0, 0xf7, 0xff, 0xff,
    ];
    let message = Message::decode(Serializer::Cbor, &frame).unwrap();
    let expected = Message::Yield {
        request: 1,
        options: Dict::from([("ab".into(), [1_u8, 2].into())]),
        payload: payload(vec![1.0.into(), 1.5.into(), Value::Null], Dict::new()),
    };
    assert_eq!(message, expected);
}

/// Seeded, so that a failure repeats: splitmix64.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((value ^ (value >> 31)) % bound as u64).unwrap()
    }
}

#[test]
fn mutated_frames_never_panic_and_what_is_read_can_be_read_again() {
    let seeds = [
        Message::Call {
            request: 7,
            options: Dict::from([("timeout".into(), 100_u64.into())]),
            procedure: "xbr.marketmaker.get_quote".into(),
            payload: payload(
                vec![
                    [7_u8; 16].into(),
                    (-1_i64).into(),
                    1.5.into(),
                    "é😀".into(),
                    Value::Null,
                ],
                Dict::from([("list".into(), vec![Value::from(true), Dict::new().into()].into())]),
            ),
        },
        Message::Error {
            kind: 68,
            request: 3,
            details: Dict::new(),
            uri: "xbr.error.no_such_object".into(),
            payload: payload(vec!["text".into(), (u64::MAX).into()], Dict::new()),
        },
    ];
    let mut random = Seeded(2);
    let mut read_again = 0;
    for serializer in Serializer::ALL {
        for seed in &seeds {
            let original = frame(serializer, seed);
            for _ in 0..8_000 {
                let mut mutant = original.clone();
                for _ in 0..=random.below(4) {
                    let at = random.below(mutant.len().max(1));
                    match random.below(4) {
                        0 if at < mutant.len() => mutant[at] = u8::try_from(random.below(256)).unwrap(),
                        1 if at < mutant.len() => mutant[at] ^= 1 << random.below(8),
                        2 => mutant.truncate(at),
                        _ => mutant.insert(at.min(mutant.len()), u8::try_from(random.below(256)).unwrap()),
                    }
                }
                if let Ok(message) = Message::decode(serializer, &mutant) {
                    let mut frame = Vec::new();
                    if message.encode(serializer, &mut frame).is_ok() {
                        let again = Message::decode(serializer, &frame).unwrap();
                        // NaN is unequal to itself, so compare what is printed.
                        assert_eq!(format!("{again:?}"), format!("{message:?}"));
                        read_again += 1;
                    }
                }
            }
        }
    }
    assert!(
        read_again > 1_000,
        "only {read_again} mutants were readable: the mutation is too coarse"
    );
}
