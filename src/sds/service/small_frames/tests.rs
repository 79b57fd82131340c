use proptest::prelude::*;
use tokio::io::AsyncReadExt;

use super::*;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u8,
    payload: Vec<u8>,
}

fn written(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = vec![b'P'; PREFACE];
    for Frame { kind, flags, stream, payload } in frames {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        bytes.extend([&length[1..], &[*kind, *flags, 0, 0, 0, *stream], payload].concat());
    }
    bytes
}

fn read(bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let (preface, mut rest) = bytes.split_at(PREFACE);
    assert_eq!(preface, [b'P'; PREFACE]);
    while let [a, b, c, kind, flags, 0, 0, 0, stream, after @ ..] = rest {
        let (payload, after) = after.split_at(u32::from_be_bytes([0, *a, *b, *c]) as usize);
        let (kind, flags, stream) = (*kind, *flags, *stream);
        frames.push(Frame { kind, flags, stream, payload: payload.to_vec() });
        rest = after;
    }
    assert!(rest.is_empty());
    frames
}

/// Frames as they would be with data in small ones.
fn split(frames: &[Frame]) -> Vec<Frame> {
    let mut small = Vec::new();
    for frame in frames {
        if (frame.kind, frame.flags) == (DATA, 0) && frame.payload.len() > MOST_DATA {
            let part = |payload: &[u8]| Frame { payload: payload.to_vec(), ..frame.clone() };
            small.extend(frame.payload.chunks(MOST_DATA).map(part));
        } else {
            small.push(frame.clone());
        }
    }
    small
}

fn frame() -> impl Strategy<Value = Frame> {
    let length = prop_oneof![Just(0), Just(MOST_DATA), 0..300_usize, 0..16_384_usize];
    (0..3_u8, prop_oneof![3 => Just(0_u8), 1 => Just(1), 1 => Just(8)], 0..9_u8, length).prop_map(
        |(kind, flags, stream, length)| {
            let payload = (0..length).map(|at| (at % 251) as u8).collect();
            Frame { kind, flags, stream, payload }
        },
    )
}

proptest! {
    #[test]
    fn what_is_passed_on_is_the_same_in_small_frames(
        frames in proptest::collection::vec(frame(), 0..8),
        arriving in 1_usize..20_000,
        reading in 1_usize..20_000,
    ) {
        let bytes = written(&frames);
        let passed = pass(&bytes, arriving, reading);
        prop_assert_eq!(read(&passed), split(&frames));
    }
}

/// Passes bytes on that arrive in parts of one size and are read in parts of another.
fn pass(bytes: &[u8], arriving: usize, reading: usize) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (mut near, far) = tokio::io::duplex(arriving);
        let bytes = bytes.to_vec();
        let writing = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut near, &bytes).await.unwrap();
        });
        let turn = Turn::default();
        let mut frames = SmallFrames::new(far, turn.clone());
        let mut passed = Vec::new();
        let mut part = vec![0; reading];
        loop {
            turn.begin();
            match frames.read(&mut part).await.unwrap() {
                0 => break,
                length => passed.extend_from_slice(&part[..length]),
            }
        }
        writing.await.unwrap();
        passed
    })
}
