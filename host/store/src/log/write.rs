//! The thread that writes the decision log.

use super::frame::{self, HEAD, HEADER};
use super::segment::Segment;
use super::{LogOptions, Shared, read, size_of};
use crate::codec;
use crate::disk::Disk;
use crate::folder;
use bourse_market::{Decision, Nanos};
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

/// Written in one go.
const BUFFER: usize = 1 << 20;

/// After what was waiting is written, the next look at the queue. Whoever appends meanwhile need not wake this thread,
/// which costs as much as many decisions.
const PAUSE: Duration = Duration::from_millis(2);

/// What is written is synced that long after at the latest.
const SYNC: Duration = Duration::from_secs(1);

/// A segment holds decisions of so large a part of the longest age at most: that exact is retention.
const SPAN: u64 = 16;

/// What comes through the queue.
pub(super) enum Message {
    Append(Decision),
    Retain(Nanos),
    Flush(SyncSender<()>),
    Stop,
}

/// The writer's side of a log.
pub(super) struct Writer {
    folder: PathBuf,
    options: LogOptions,
    disk: Arc<dyn Disk>,
    shared: Arc<Shared>,
    queue: Receiver<Message>,
    open: Option<Open>,
    closed: VecDeque<Closed>,
    /// Of the segment to be made next.
    sequence: u64,
    /// The latest time that is known.
    now: Nanos,
}

/// The segment that is being written.
struct Open {
    segment: Segment,
    file: File,
    /// Bytes that are written and sound.
    length: u64,
    /// Frames to be written at that place.
    buffer: Vec<u8>,
    /// How many.
    waiting: u64,
    /// Time of its newest decision.
    newest: Nanos,
    /// Since when something is written and not synced.
    dirty: Option<Instant>,
}

/// A segment that is not written any more.
struct Closed {
    segment: Segment,
    bytes: u64,
    /// Time of its newest decision, as far as that is known.
    newest: Nanos,
}

/// What a round came to.
enum Round {
    /// Something was written.
    Busy,
    Idle,
    Stop,
}

impl Writer {
    pub(super) fn new(
        folder: PathBuf,
        mut options: LogOptions,
        disk: Arc<dyn Disk>,
        shared: Arc<Shared>,
        queue: Receiver<Message>,
    ) -> io::Result<Self> {
        options.segment = options
            .segment
            .min(options.max_bytes / 4)
            .clamp(4 << 10, 256 << 20);
        let segments = Segment::list(&folder)?;
        let mut closed = VecDeque::with_capacity(segments.len());
        for (place, segment) in segments.iter().enumerate() {
            let newest = match segments.get(place.saturating_add(1)) {
                Some(next) => next.first,
                None => read::newest(&folder, segment).unwrap_or(segment.first),
            };
            closed.push_back(Closed {
                segment: segment.clone(),
                bytes: fs::metadata(segment.path(&folder))?.len(),
                newest,
            });
        }
        let last = closed.back();
        let mut writer = Self {
            sequence: last.map_or(1, |last| last.segment.sequence.saturating_add(1)),
            now: last.map_or(Nanos(0), |last| last.newest),
            folder,
            options,
            disk,
            shared,
            queue,
            open: None,
            closed,
        };
        writer.retain();
        Ok(writer)
    }

    /// Serves the queue until it is told to stop or nobody can send any more.
    pub(super) fn run(mut self) {
        loop {
            match self.round() {
                Round::Busy => thread::sleep(PAUSE),
                Round::Idle => {
                    if !self.wait() || matches!(self.round(), Round::Stop) {
                        break;
                    }
                    thread::sleep(PAUSE);
                }
                Round::Stop => break,
            }
            let due = |since: Instant| since.elapsed() >= SYNC;
            if self.open.as_ref().and_then(|open| open.dirty).is_some_and(due) {
                self.sync();
            }
        }
        self.write();
        self.sync();
    }

    /// Takes and writes what is in the queue.
    fn round(&mut self) -> Round {
        let mut round = Round::Idle;
        // A queue that is filled as fast as it is emptied must not keep the files from being synced.
        for _ in 0..self.options.queue.max(1) {
            match self.queue.try_recv() {
                Ok(message) => {
                    round = Round::Busy;
                    if !self.take(message) {
                        return Round::Stop;
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Round::Stop,
            }
        }
        self.write();
        round
    }

    /// Waits for a message, and no longer than until a sync is due. False if there is no more to come.
    fn wait(&mut self) -> bool {
        let message = match self.open.as_ref().and_then(|open| open.dirty) {
            Some(since) => match self.queue.recv_timeout(SYNC.saturating_sub(since.elapsed())) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => None,
            },
            None => self.queue.recv().ok(),
        };
        message.is_some_and(|message| self.take(message))
    }

    /// False if it is told to stop.
    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Append(decision) => self.append(&decision),
            Message::Retain(now) => {
                self.now = self.now.max(now);
                self.write();
                if self.open.as_ref().is_some_and(|open| self.spans_enough(open)) {
                    self.close();
                }
                self.retain();
            }
            Message::Flush(done) => {
                self.write();
                self.sync();
                // Whoever asked may have gone.
                let _ = done.send(());
            }
            Message::Stop => return false,
        }
        true
    }

    fn append(&mut self, decision: &Decision) {
        self.shared.queued_bytes.fetch_sub(size_of(decision), Relaxed);
        let at = decision.header.at;
        self.now = self.now.max(at);
        let body = match codec::encode("decisions", decision) {
            Ok(body) => body,
            Err(error) => return self.lose(1, &error.to_string()),
        };
        let bytes = (body.len() as u64).saturating_add(HEAD as u64);
        let full = self.open.as_ref().is_some_and(|open| {
            let there = open.length.saturating_add(open.buffer.len() as u64);
            there > HEADER.len() as u64 && there.saturating_add(bytes) > self.options.segment
                || self.spans_enough(open)
        });
        if full {
            self.write();
            self.close();
            self.retain();
        }
        let open = match &mut self.open {
            Some(open) => open,
            None => match self.begin(at) {
                Ok(open) => self.open.insert(open),
                Err(error) => return self.lose(1, &error.to_string()),
            },
        };
        let offset = open.length.saturating_add(open.buffer.len() as u64);
        if !frame::push(&mut open.buffer, &body, open.segment.sequence, offset) {
            let why = format!("a decision of {} bytes is too long", body.len());
            return self.lose(1, &why);
        }
        open.waiting = open.waiting.saturating_add(1);
        open.newest = open.newest.max(at);
        if open.buffer.len() >= BUFFER {
            self.write();
        }
    }

    fn spans_enough(&self, open: &Open) -> bool {
        self.now.since(open.segment.first) > max_age(&self.options) / SPAN
    }

    /// Makes the next segment.
    fn begin(&mut self, first: Nanos) -> io::Result<Open> {
        self.may_write(HEADER.len() as u64)?;
        let segment = Segment {
            sequence: self.sequence,
            first,
        };
        let mut file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(segment.path(&self.folder))?;
        self.sequence = self.sequence.saturating_add(1);
        let made = file.write_all(HEADER).and_then(|()| folder::sync(&self.folder));
        if let Err(error) = made {
            // An empty segment does no harm; removing it is a courtesy.
            let _ = fs::remove_file(segment.path(&self.folder));
            return Err(error);
        }
        self.count(1, HEADER.len() as u64);
        Ok(Open {
            segment,
            file,
            length: HEADER.len() as u64,
            buffer: Vec::new(),
            waiting: 0,
            newest: first,
            dirty: Some(Instant::now()),
        })
    }

    /// Writes what is buffered. What cannot be written is dropped, and the file is as it was.
    fn write(&mut self) {
        let Some(open) = &self.open else { return };
        if open.buffer.is_empty() {
            return;
        }
        let allowed = self.may_write(open.buffer.len() as u64);
        let Some(open) = &mut self.open else { return };
        let (bytes, frames) = (open.buffer.len() as u64, open.waiting);
        let written = allowed.and_then(|()| open.file.write_all(&open.buffer));
        open.buffer.clear();
        open.waiting = 0;
        match written {
            Ok(()) => {
                open.length = open.length.saturating_add(bytes);
                open.dirty.get_or_insert_with(Instant::now);
                self.shared.written.fetch_add(frames, Relaxed);
                self.count(0, bytes);
                if self.shared.failing.swap(false, Relaxed) {
                    tracing::info!("the decision log is written again");
                }
            }
            Err(error) => {
                // A part of it may be there; the next frames must not stand behind half a one.
                let cut = open.file.set_len(open.length);
                self.lose(frames, &error.to_string());
                if let Err(error) = cut {
                    tracing::warn!(%error, "a segment of the decision log is given up");
                    self.close();
                }
            }
        }
    }

    fn may_write(&self, bytes: u64) -> io::Result<()> {
        let free = self.disk.free(&self.folder)?;
        if free < self.options.keep_free.saturating_add(bytes) {
            let keep = self.options.keep_free;
            return Err(io::Error::other(format!(
                "the disk has {free} bytes free, and {keep} are left to others"
            )));
        }
        self.disk.before_append(bytes)
    }

    fn lose(&self, decisions: u64, why: &str) {
        self.shared.dropped.fetch_add(decisions, Relaxed);
        if !self.shared.failing.swap(true, Relaxed) {
            tracing::warn!(why, "decisions are dropped: the decision log cannot be written");
        }
    }

    fn sync(&mut self) {
        let Some(open) = &mut self.open else { return };
        if open.dirty.take().is_none() {
            return;
        }
        if let Err(error) = open.file.sync_data() {
            // What a failed sync left is not known, and asking again would not tell.
            tracing::warn!(%error, "a segment of the decision log could not be synced and is given up");
            self.close();
        }
    }

    /// Ends the open segment; the next decision begins another.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        if open.dirty.is_some()
            && let Err(error) = open.file.sync_data()
        {
            tracing::warn!(%error, "a segment of the decision log could not be synced");
        }
        self.closed.push_back(Closed {
            segment: open.segment,
            bytes: open.length,
            newest: open.newest,
        });
    }

    /// Removes the segments that are too old, and the oldest while there is too much. The open one always stays.
    fn retain(&mut self) {
        let age = max_age(&self.options);
        let open = self.open.as_ref().map(|open| open.length);
        let mut bytes = self
            .closed
            .iter()
            .map(|closed| closed.bytes)
            .chain(open)
            .fold(0u64, u64::saturating_add);
        while let Some(oldest) = self.closed.front() {
            if self.now.since(oldest.newest) <= age && bytes <= self.options.max_bytes {
                break;
            }
            let path = oldest.segment.path(&self.folder);
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "an old segment of the decision log cannot be removed");
                    break;
                }
            }
            bytes = bytes.saturating_sub(oldest.bytes);
            self.closed.pop_front();
        }
        self.shared.bytes.store(bytes, Relaxed);
        let segments = self.closed.len().saturating_add(usize::from(self.open.is_some()));
        self.shared.segments.store(segments as u64, Relaxed);
    }

    fn count(&self, segments: u64, bytes: u64) {
        self.shared.segments.fetch_add(segments, Relaxed);
        self.shared.bytes.fetch_add(bytes, Relaxed);
    }
}

fn max_age(options: &LogOptions) -> u64 {
    u64::try_from(options.max_age.as_nanos()).unwrap_or(u64::MAX)
}
