//! Random text from the operating system's generator, for keys and ids.

use rand::{
    Rng as _,
    distr::{Alphanumeric, SampleString as _, slice::Choose},
    rand_core::UnwrapErr,
    rngs::SysRng,
};

const BASE36: [char; 36] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k',
    'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
];

/// Crockford's alphabet: without letters that look like digits or like each other, and without `u`.
const BASE32: [char; 32] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'j', 'k', 'm',
    'n', 'p', 'q', 'r', 's', 't', 'v', 'w', 'x', 'y', 'z',
];

/// Random bytes.
///
/// # Panics
/// If the operating system provides no random bytes.
#[must_use]
pub(crate) fn bytes<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    UnwrapErr(SysRng).fill_bytes(&mut bytes);
    bytes
}

/// Characters that people can type: digits and lower-case letters without i, l, o and u, each equally likely. 5 bits per
/// character.
///
/// # Panics
/// If the operating system provides no random bytes.
#[must_use]
pub(crate) fn base32(length: usize) -> String {
    let letters = Choose::new(&BASE32).expect("the alphabet is not empty");
    letters.sample_string(&mut UnwrapErr(SysRng), length)
}

/// Characters of `0-9A-Za-z`, each equally likely: 5.95 bits per character.
///
/// # Panics
/// If the operating system provides no random bytes, because a guessable key must never be created.
#[must_use]
pub(crate) fn alphanumeric(length: usize) -> String {
    Alphanumeric.sample_string(&mut UnwrapErr(SysRng), length)
}

/// Characters of `0-9a-z`, each equally likely: 5.17 bits per character.
///
/// # Panics
/// If the operating system provides no random bytes.
#[must_use]
pub(crate) fn base36(length: usize) -> String {
    let letters = Choose::new(&BASE36).expect("the alphabet is not empty");
    letters.sample_string(&mut UnwrapErr(SysRng), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sum of squared deviations from `expected`, divided by it.
    fn chi_square(text: &str, expected: i32) -> i32 {
        let mut counts = std::collections::BTreeMap::new();
        for character in text.chars() {
            *counts.entry(character).or_insert(0) += 1;
        }
        counts.values().map(|count: &i32| (count - expected).pow(2)).sum::<i32>() / expected
    }

    #[test]
    fn every_letter_is_equally_likely() {
        // With 61 (35) degrees of freedom, chi-square exceeds 140 (100) once in 10 million runs.
        let [wide, narrow] =
            [chi_square(&alphanumeric(620_000), 10_000), chi_square(&base36(360_000), 10_000)];
        assert!(wide < 140 && narrow < 100, "chi-square is {wide} and {narrow}");
        let typed = chi_square(&base32(320_000), 10_000);
        assert!(typed < 100, "chi-square is {typed}");
    }

    #[test]
    fn bytes_differ_each_time() {
        assert_ne!(bytes::<20>(), bytes::<20>());
    }
}
