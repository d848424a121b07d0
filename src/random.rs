//! Random text from the operating system's generator, for keys and ids.

use rand::{
    TryRng as _,
    rngs::{SysError, SysRng},
};

/// `0-9A-Za-z`: what keys are written in. Base 62, in the order of ASCII.
pub(crate) const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// `0-9a-z`: what Client IDs are written in.
pub(crate) const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// `length` characters of `alphabet` (at most 256 of ASCII), each equally likely.
///
/// # Errors
/// When the operating system gives no random bytes.
pub(crate) fn text(alphabet: &[u8], length: usize) -> Result<String, SysError> {
    // A byte beyond the last whole multiple of the alphabet is thrown away, or the first letters would come more often.
    let limit = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(length);
    let mut bytes = [0; 64];
    while text.len() < length {
        SysRng.try_fill_bytes(&mut bytes)?;
        let fair = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < limit);
        text.extend(fair.take(length - text.len()).map(|byte| char::from(alphabet[byte % alphabet.len()])));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_is_equally_likely() {
        let text = text(BASE62, 620_000).unwrap();
        let mut counts = [0_i32; 128];
        for byte in text.bytes() {
            counts[usize::from(byte)] += 1;
        }
        // Chi-square with 61 degrees of freedom stays below 140 but once in 10 million.
        let chi_square: i32 =
            BASE62.iter().map(|letter| (counts[usize::from(*letter)] - 10_000).pow(2)).sum();
        assert!(chi_square / 10_000 < 140, "chi-square is {}", chi_square / 10_000);
    }
}
