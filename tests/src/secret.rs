//! Whether something that was said or sent holds what nobody may read.

/// Whether `text` holds a secret, or sixteen bytes of it in a row, in any form that code prints bytes in.
pub fn holds(text: &str, secret: &[u8]) -> bool {
    const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let base64 = |part: &[u8]| -> String {
        let triple = |bytes: &[u8]| {
            let word = bytes
                .iter()
                .fold(0usize, |word, byte| word << 8 | usize::from(*byte));
            [18, 12, 6, 0].map(|shift| char::from(BASE64[word >> shift & 63]))
        };
        part.chunks_exact(3).flat_map(triple).collect()
    };
    let numbers = |part: &[u8]| part.iter().map(u8::to_string).collect::<Vec<_>>();
    secret.chunks_exact(16).any(|part| {
        let forms = [
            hex::encode(part),
            hex::encode_upper(part),
            part.escape_ascii().to_string(),
            numbers(part).join(", "),
            numbers(part).join(","),
        ];
        // Of base64 the letters depend on where the bytes begin in it.
        let shifted = (0..3).map(|skip| base64(&part[skip..]));
        forms.into_iter().chain(shifted).any(|form| text.contains(&form))
    })
}
