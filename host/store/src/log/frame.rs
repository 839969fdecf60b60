//! Frames: records with checksums, and finding them again among damaged bytes.

/// What each segment begins with.
pub(super) const HEADER: &[u8] = b"bourse decisions 1\n";

/// What each frame begins with. Its first byte never begins a character of a text.
const MARKER: [u8; 4] = [0xB0, 0x75, 0x5E, 0xD1];

/// Bytes of a frame before its body.
pub(super) const HEAD: usize = 16;

/// Bytes of a body: a decision about the largest batch is a fraction of this.
pub(super) const MAX_BODY: usize = 64 << 20;

fn crc(parts: &[&[u8]]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().to_le_bytes()
}

/// The checksum of a head: of what it says and where it stands.
fn head_crc(said: &[u8], sequence: u64, offset: u64) -> [u8; 4] {
    crc(&[said, &sequence.to_le_bytes(), &offset.to_le_bytes()])
}

/// Appends the frame of `body` to `buffer`, to stand at `offset` of segment `sequence`. False, and nothing appended, if
/// the body is too long.
pub(super) fn push(buffer: &mut Vec<u8>, body: &[u8], sequence: u64, offset: u64) -> bool {
    let length = match u32::try_from(body.len()) {
        Ok(length) if body.len() <= MAX_BODY => length.to_le_bytes(),
        _ => return false,
    };
    let said = [MARKER, length, crc(&[body])].concat();
    let sum = head_crc(&said, sequence, offset);
    buffer.extend_from_slice(&said);
    buffer.extend_from_slice(&sum);
    buffer.extend_from_slice(body);
    true
}

/// What stands next in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'b> {
    /// A sound body.
    Body(&'b [u8]),
    /// Something that was a frame, or several.
    Damaged,
    /// The beginning of a frame, or zeros: where the writer was stopped. So many bytes, and nothing after them.
    Torn(u64),
}

/// The frames of one segment, in order.
#[derive(Debug)]
pub(super) struct Frames<'b> {
    segment: &'b [u8],
    sequence: u64,
    at: usize,
}

impl<'b> Frames<'b> {
    /// Over the bytes of segment `sequence`.
    pub(super) fn of(segment: &'b [u8], sequence: u64) -> Self {
        // Where the first line is damaged, there is no sound frame either, and the next one is looked for.
        let at = if segment.starts_with(HEADER) {
            HEADER.len()
        } else {
            0
        };
        Self {
            segment,
            sequence,
            at,
        }
    }

    /// The length and checksum of the body whose head stands at `at`, if one does.
    fn head(&self, at: usize) -> Option<(usize, [u8; 4])> {
        let head = self.segment.get(at..)?.first_chunk::<HEAD>()?;
        let (said, sum) = head.split_at(HEAD - 4);
        let said: &[u8; 12] = said.first_chunk()?;
        if !said.starts_with(&MARKER) || sum != head_crc(said, self.sequence, at as u64) {
            return None;
        }
        let [_, _, _, _, a, b, c, d, e, f, g, h] = *said;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        (length <= MAX_BODY).then_some((length, [e, f, g, h]))
    }

    /// Where the next head stands, after what is at `self.at`.
    fn resync(&self) -> Option<usize> {
        let from = self.at.saturating_add(1);
        let rest = self.segment.get(from..)?;
        let places = rest.windows(MARKER.len()).enumerate();
        places
            .filter(|(_, window)| **window == MARKER)
            .map(|(place, _)| from.saturating_add(place))
            .find(|at| self.head(*at).is_some())
    }
}

impl<'b> Iterator for Frames<'b> {
    type Item = Found<'b>;

    fn next(&mut self) -> Option<Found<'b>> {
        let rest = self.segment.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = self.segment.len();
        let Some((length, sum)) = self.head(self.at) else {
            // A head that was not written to its end, or blocks that were allotted and never written.
            let begun = match rest.first_chunk() {
                Some(marker) => *marker == MARKER && rest.len() < HEAD,
                None => MARKER.starts_with(rest),
            };
            let first_line = self.at == 0 && HEADER.starts_with(rest);
            if begun || first_line || rest.iter().all(|byte| *byte == 0) {
                self.at = end;
                return Some(Found::Torn(rest.len() as u64));
            }
            self.at = self.resync().unwrap_or(end);
            return Some(Found::Damaged);
        };
        let Some(body) = rest.get(HEAD..HEAD.saturating_add(length)) else {
            self.at = end;
            return Some(Found::Torn(rest.len() as u64));
        };
        self.at = self.at.saturating_add(HEAD).saturating_add(length);
        Some(match crc(&[body]) == sum {
            true => Found::Body(body),
            false => Found::Damaged,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEQUENCE: u64 = 7;

    fn segment(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        for body in bodies {
            let offset = bytes.len() as u64;
            assert!(push(&mut bytes, body, SEQUENCE, offset));
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Vec<Found<'_>> {
        Frames::of(bytes, SEQUENCE).collect()
    }

    fn bodies() -> Vec<Vec<u8>> {
        vec![b"first".to_vec(), Vec::new(), vec![0; 300], b"last".to_vec()]
    }

    #[test]
    fn frames_come_back_in_order() {
        let bodies = bodies();
        let bytes = segment(&bodies);
        let expected: Vec<_> = bodies.iter().map(|body| Found::Body(body)).collect();
        assert_eq!(read(&bytes), expected);
        assert_eq!(read(HEADER), []);
        assert_eq!(read(b""), []);
    }

    #[test]
    fn a_segment_cut_anywhere_ends_in_a_torn_frame_and_nothing_is_damaged() {
        let bodies = bodies();
        let whole = segment(&bodies);
        let mut ends = vec![HEADER.len()];
        for body in &bodies {
            ends.push(ends.last().unwrap() + HEAD + body.len());
        }
        for cut in 0..=whole.len() {
            for zeros in [0, 40] {
                let mut bytes = whole[..cut].to_vec();
                bytes.resize(cut + zeros, 0);
                let found = read(&bytes);
                let sound = found
                    .iter()
                    .filter(|found| matches!(found, Found::Body(_)))
                    .count();
                let whole_frames = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
                if zeros == 0 {
                    assert_eq!(sound, whole_frames, "cut at {cut}");
                    assert!(!found.contains(&Found::Damaged), "cut at {cut}");
                } else {
                    // Zeros may be what a body ends with, never more than was there.
                    assert!(sound <= whole_frames + 1, "cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn no_body_can_pass_for_frames() {
        let mut forged = vec![9; 10];
        // As it would stand if the attacker knew all but its place.
        push(&mut forged, b"forged", SEQUENCE, 10);
        let mut bytes = segment(&[forged, b"true".to_vec()]);
        bytes[HEADER.len() + 5] ^= 1;
        assert_eq!(read(&bytes), [Found::Damaged, Found::Body(b"true")]);
    }

    #[test]
    fn a_frame_of_another_segment_is_damage() {
        let bytes = segment(&bodies());
        assert_eq!(
            Frames::of(&bytes, SEQUENCE + 1).collect::<Vec<_>>(),
            [Found::Damaged]
        );
    }

    #[test]
    fn a_body_too_long_is_not_taken() {
        let mut bytes = Vec::new();
        assert!(!push(&mut bytes, &vec![0; MAX_BODY + 1], 1, 0));
        assert_eq!(bytes, []);
    }

    proptest! {
        #[test]
        fn damage_in_one_frame_costs_that_frame_alone(place in 0usize..10_000, with in 1u8..) {
            let bodies: Vec<Vec<u8>> = (0..20u8).map(|number| vec![number; 30]).collect();
            let mut bytes = segment(&bodies);
            let place = HEADER.len() + place % (bytes.len() - HEADER.len());
            bytes[place] ^= with;
            let hit = (place - HEADER.len()) / (HEAD + 30);
            let found = read(&bytes);
            let sound: Vec<u8> = found
                .iter()
                .filter_map(|found| match found { Found::Body(body) => Some(body[0]), _ => None })
                .collect();
            let expected: Vec<u8> = (0..20).filter(|number| usize::from(*number) != hit).collect();
            prop_assert_eq!(sound, expected);
            prop_assert_eq!(found.len(), 20);
        }

        #[test]
        fn whatever_the_bytes_are_reading_them_ends(bytes in prop::collection::vec(any::<u8>(), 0..400), headed: bool) {
            let mut segment = if headed { HEADER.to_vec() } else { Vec::new() };
            segment.extend(&bytes);
            prop_assert!(read(&segment).len() <= segment.len());
        }
    }
}
