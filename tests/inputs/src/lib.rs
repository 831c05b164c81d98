//! Inputs for tests without a fuzzer: small random changes of given bytes, the same in every run.

/// A reproducible source of random numbers: Marsaglia's xorshift.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Returns a source that begins with this number; zero would stay zero, and becomes one.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// Returns a number below the limit, or zero if the limit is zero.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.0 % limit).unwrap_or(0)
    }

    /// Returns a random byte.
    pub fn byte(&mut self) -> u8 {
        self.below(256).to_le_bytes()[0]
    }
}

/// Changes larger inputs only at their begin: of those there are too many to try.
const LARGEST: usize = 4_096;

/// Calls `take` so many times, with the index of one of the inputs and up to six small changes of its bytes.
pub fn for_each_change(inputs: &[&[u8]], times: usize, mut take: impl FnMut(usize, &[u8])) {
    let mut chance = Chance::new(0x5eed);
    for _ in 0..times {
        let index = chance.below(inputs.len());
        let Some(input) = inputs.get(index) else { return };
        let mut bytes = input[..input.len().min(LARGEST)].to_vec();
        for _ in 0..=chance.below(6) {
            change(&mut bytes, &mut chance);
        }
        take(index, &bytes);
    }
}

/// Replaces, flips, inserts or removes a byte, or cuts the rest off.
fn change(bytes: &mut Vec<u8>, chance: &mut Chance) {
    let at = chance.below(bytes.len());
    let byte = chance.byte();
    match chance.below(5) {
        _ if bytes.is_empty() => bytes.push(byte),
        0 => bytes[at] = byte,
        1 => bytes[at] ^= 1 << (byte % 8),
        2 => bytes.insert(at, byte),
        3 => {
            bytes.remove(at);
        }
        _ => bytes.truncate(at),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn changes_differ_and_are_the_same_in_every_run() {
        let inputs: [&[u8]; 3] = [b"first input", b"", &[7; 10_000]];
        let run = || {
            let mut seen = Vec::new();
            for_each_change(&inputs, 2_000, |index, bytes| seen.push((index, bytes.to_vec())));
            seen
        };
        let seen = run();
        assert_eq!(seen, run());
        let different: HashSet<_> = seen.iter().collect();
        assert!(different.len() > 1_000, "{}", different.len());
        for (index, input) in inputs.iter().enumerate() {
            let mut changes = seen.iter().filter(|(of, _)| *of == index);
            assert!(changes.any(|(_, bytes)| bytes != input), "input {index}");
        }
        assert!(seen.iter().all(|(_, bytes)| bytes.len() <= LARGEST + 6));
    }

    #[test]
    fn without_inputs_nothing_is_called() {
        for_each_change(&[], 10, |_, _| panic!("there is nothing to change"));
    }
}
