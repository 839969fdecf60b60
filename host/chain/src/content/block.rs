//! A file that is one block, as IPFS writes it: a node (`dag-pb`) without links, whose data (`UnixFS`) is the file.
//!
//! Both are protocol buffers, of which three fields matter here.

use super::{ContentError, ContentId};

/// Fields of a node.
const NODE_DATA: u64 = 1;
const NODE_LINK: u64 = 2;
/// Fields of its data.
const FILE_TYPE: u64 = 1;
const FILE_BYTES: u64 = 2;
const FILE_SIZE: u64 = 3;
/// Values of [`FILE_TYPE`].
const TYPE_RAW: u64 = 0;
const TYPE_FOLDER: u64 = 1;
const TYPE_FILE: u64 = 2;

/// How a field's value is written.
const NUMBER: u64 = 0;
const BYTES: u64 = 2;

/// The block of a file that is in one.
pub(super) fn of_file(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u64;
    let mut data = Vec::with_capacity(bytes.len() + 16);
    put_number(&mut data, FILE_TYPE << 3 | NUMBER);
    put_number(&mut data, TYPE_FILE);
    if !bytes.is_empty() {
        put_bytes(&mut data, FILE_BYTES, bytes);
    }
    put_number(&mut data, FILE_SIZE << 3 | NUMBER);
    put_number(&mut data, length);
    let mut node = Vec::with_capacity(data.len() + 8);
    put_bytes(&mut node, NODE_DATA, &data);
    node
}

fn put_bytes(into: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_number(into, field << 3 | BYTES);
    put_number(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

fn put_number(into: &mut Vec<u8>, mut number: u64) {
    while number > 0x7F {
        into.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// The file in its only block.
pub(super) fn file_in(id: ContentId, block: &[u8]) -> Result<&[u8], ContentError> {
    let no_file = |what| ContentError::NoFile { id, what };
    let broken = no_file("it is not in the form of IPFS");
    let mut data = None;
    let mut rest = block;
    while !rest.is_empty() {
        match field(&mut rest).ok_or(broken.clone())? {
            (NODE_LINK, _) => return Err(ContentError::Several { id }),
            (NODE_DATA, Value::Bytes(bytes)) => data = Some(bytes),
            _ => {}
        }
    }
    let (mut kind, mut file) = (None, [].as_slice());
    let mut rest = data.ok_or(broken.clone())?;
    while !rest.is_empty() {
        match field(&mut rest).ok_or(broken.clone())? {
            (FILE_TYPE, Value::Number(number)) => kind = Some(number),
            (FILE_BYTES, Value::Bytes(bytes)) => file = bytes,
            _ => {}
        }
    }
    match kind {
        Some(TYPE_FILE | TYPE_RAW) => Ok(file),
        Some(TYPE_FOLDER) => Err(no_file("it is a folder")),
        Some(_) => Err(no_file("it is of a kind that is not read")),
        None => Err(broken),
    }
}

enum Value<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// The next field: its number and value. None if there is none that makes sense.
fn field<'b>(rest: &mut &'b [u8]) -> Option<(u64, Value<'b>)> {
    let tag = number(rest)?;
    let value = match tag & 7 {
        NUMBER => Value::Number(number(rest)?),
        BYTES => {
            let length = usize::try_from(number(rest)?).ok()?;
            let (bytes, behind) = rest.split_at_checked(length)?;
            *rest = behind;
            Value::Bytes(bytes)
        }
        _ => return None,
    };
    Some((tag >> 3, value))
}

/// A number in groups of seven bits, the lowest first.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        number |= u64::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
