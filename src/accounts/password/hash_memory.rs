//! The working memory of argon2, reused from one hash to the next.
//!
//! Each hash needs 19 MiB. Memory that is allocated and freed on every thread that happens to hash is kept by the
//! allocator once per thread, so guessed passwords alone could fill a machine.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use argon2::{
    Algorithm, Argon2, Block, CustomizedPasswordHasher, Params, PasswordHasher, Version,
    password_hash::{
        self,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};

/// How long memory that no hash needs is kept for the next one.
pub(crate) const IDLE_LIFETIME: Duration = Duration::from_secs(10);

/// Holds as many areas as hashes ran at a time within [`IDLE_LIFETIME`].
#[derive(Default)]
pub(crate) struct HashMemory(Mutex<IdleMemory>);

#[derive(Default)]
struct IdleMemory {
    areas: Vec<IdleArea>,
    /// Number of areas that hashes are working in.
    in_use: usize,
    /// Whether a task calls [`HashMemory::free_idle`] until nothing is left.
    is_watched: bool,
}

struct IdleArea {
    blocks: Vec<Block>,
    since: Instant,
}

impl HashMemory {
    /// Runs `hash` with `count` blocks of 1 KiB, whose content is undefined.
    pub(crate) fn run<T>(&self, count: usize, hash: impl FnOnce(&mut [Block]) -> T) -> T {
        let mut blocks = self.lock().take();
        blocks.resize(count, Block::new());
        let answer = hash(&mut blocks);
        self.lock().give_back(blocks);
        answer
    }

    /// Whether the caller has to call [`HashMemory::free_idle`] until that returns `false`.
    pub(crate) fn start_watch(&self) -> bool {
        !mem::replace(&mut self.lock().is_watched, true)
    }

    /// Frees what has been idle for [`IDLE_LIFETIME`] at `now`. Returns `false`, and ends the watch, once nothing is in
    /// use or left.
    pub(crate) fn free_idle(&self, now: Instant) -> bool {
        let mut idle = self.lock();
        idle.areas.retain(|area| now.saturating_duration_since(area.since) < IDLE_LIFETIME);
        idle.is_watched = idle.in_use > 0 || !idle.areas.is_empty();
        idle.is_watched
    }

    /// Ignores poisoning: the list is valid after every change.
    fn lock(&self) -> MutexGuard<'_, IdleMemory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdleMemory {
    /// Takes the newest area, so that those beyond the current load grow old.
    fn take(&mut self) -> Vec<Block> {
        self.in_use += 1;
        self.areas.pop().map(|area| area.blocks).unwrap_or_default()
    }

    fn give_back(&mut self, blocks: Vec<Block>) {
        self.in_use -= 1;
        self.areas.push(IdleArea { blocks, since: Instant::now() });
    }
}

/// Argon2 that works in this memory. It computes the same hashes as [`Argon2`], which allocates for each one.
pub(crate) struct PooledArgon2<'a>(pub(crate) &'a HashMemory);

impl CustomizedPasswordHasher<PasswordHash> for PooledArgon2<'_> {
    type Params = Params;

    fn hash_password_customized(
        &self,
        password: &[u8],
        salt: &[u8],
        algorithm: Option<&str>,
        version: Option<u32>,
        params: Params,
    ) -> password_hash::Result<PasswordHash> {
        let algorithm = algorithm.map(Algorithm::try_from).transpose()?.unwrap_or_default();
        let version = version.map(Version::try_from).transpose()?.unwrap_or_default();
        let (salt, names) = (Salt::new(salt)?, ParamsString::try_from(&params)?);
        let mut buffer = [0; Output::MAX_LENGTH];
        let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let output = buffer.get_mut(..length).ok_or(password_hash::Error::OutputSize)?;
        let count = params.block_count();
        let argon2 = Argon2::new(algorithm, version, params);
        self.0.run(count, |blocks| argon2.hash_password_into_with_memory(password, &salt, output, blocks))?;
        Ok(PasswordHash {
            algorithm: algorithm.ident(),
            version: Some(version.into()),
            params: names,
            salt: Some(salt),
            hash: Some(Output::new(output)?),
        })
    }
}

impl PasswordHasher<PasswordHash> for PooledArgon2<'_> {
    fn hash_password_with_salt(&self, password: &[u8], salt: &[u8]) -> password_hash::Result<PasswordHash> {
        self.hash_password_customized(password, salt, None, None, Params::default())
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordVerifier as _;

    use super::*;

    fn areas(memory: &HashMemory) -> usize {
        memory.lock().areas.len()
    }

    #[test]
    fn hashes_one_after_the_other_share_an_area_and_hashes_at_a_time_do_not() {
        let memory = HashMemory::default();
        for _ in 0..3 {
            memory.run(8, |blocks| assert_eq!(blocks.len(), 8));
        }
        assert_eq!(areas(&memory), 1);
        memory.run(8, |_outer| memory.run(4, |inner| assert_eq!(inner.len(), 4)));
        assert_eq!(areas(&memory), 2);
    }

    #[test]
    fn hashes_are_those_of_the_library_whatever_the_memory_held() {
        let memory = HashMemory::default();
        for password in [b"a first password".as_slice(), b"another one"] {
            let pooled = PooledArgon2(&memory);
            let hash = pooled.hash_password_with_salt(password, b"sixteen bytes ok").unwrap();
            let expected: PasswordHash =
                Argon2::default().hash_password_with_salt(password, b"sixteen bytes ok").unwrap();
            assert_eq!(hash.to_string(), expected.to_string());
            assert!(pooled.verify_password(password, &hash).is_ok());
            assert!(pooled.verify_password(b"wrong", &hash).is_err());
        }
    }

    #[test]
    fn idle_areas_are_freed_and_the_watch_ends() {
        let memory = HashMemory::default();
        memory.run(8, |_blocks| ());
        assert!(memory.start_watch() && !memory.start_watch());
        assert!(memory.free_idle(Instant::now()));
        assert!(!memory.free_idle(Instant::now() + IDLE_LIFETIME));
        assert_eq!(areas(&memory), 0);
        assert!(memory.start_watch(), "the next hash is watched again");
    }
}
