//! Messages as autobahn-python writes them; `tests/python/wamp_vectors.py` made the file.

use super::Message;
use crate::codec::Serializer;

const VECTORS: &str = include_str!("../../tests/vectors/autobahn.txt");

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn what_autobahn_writes_is_read_the_same_from_every_serializer_and_written_so_again() {
    let mut kinds = std::collections::BTreeSet::new();
    for line in VECTORS.lines() {
        let frames: Vec<_> = line.split(' ').map(unhex).collect();
        let serializers = [Serializer::Json, Serializer::MsgPack, Serializer::Cbor];
        assert_eq!(frames.len(), serializers.len(), "{line}");
        let messages: Vec<_> = serializers
            .iter()
            .zip(&frames)
            .map(|(serializer, frame)| {
                Message::decode(*serializer, frame)
                    .unwrap_or_else(|error| panic!("{serializer:?}: {error}: {line}"))
            })
            .collect();
        let first = &messages[0];
        kinds.insert(first.name());
        for (message, serializer) in messages.iter().zip(serializers) {
            assert_eq!(message, first, "{serializer:?}");
            let mut frame = Vec::new();
            message.encode(serializer, &mut frame).unwrap();
            assert_eq!(
                &Message::decode(serializer, &frame).unwrap(),
                first,
                "{serializer:?}"
            );
        }
    }
    // All that are ever sent.
    assert_eq!(kinds.len(), 24, "{kinds:?}");
}
