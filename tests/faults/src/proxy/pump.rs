//! Brings the frames of one connection from one side to the other, as the plan has it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::plan::{Act, Direction, Plan};
use crate::frames::{Frame, Splitter};

const CHUNK: usize = 16 * 1024;

/// Brings what comes on, until one side ends, a rule cuts, or everything is reset. Both sides see the same end.
pub(super) async fn between(near: TcpStream, far: TcpStream, plan: &Plan) {
    let _open = plan.enter();
    let mut resets = plan.resets();
    for stream in [&near, &far] {
        let _ = stream.set_nodelay(true);
    }
    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.into_split(), far.into_split());
    let cut = tokio::select! {
        end = one_way(&mut near_in, &mut far_out, plan, Direction::ToBroker) => end == End::Cut,
        end = one_way(&mut far_in, &mut near_out, plan, Direction::ToClient) => end == End::Cut,
        _ = resets.changed() => true,
    };
    if cut {
        let _ = near_out.as_ref().set_zero_linger();
        let _ = far_out.as_ref().set_zero_linger();
    }
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// By one of its sides.
    Closed,
    /// By the plan.
    Cut,
}

async fn one_way(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    plan: &Plan,
    direction: Direction,
) -> End {
    let mut splitter = Splitter::default();
    let mut greeted = direction == Direction::ToClient;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut chunk).await {
            Ok(0) | Err(_) => return End::Closed,
            Ok(read) => read,
        };
        splitter.push(&chunk[..read]);
        let mut out = Vec::new();
        if !greeted {
            let Some(header) = splitter.protocol_header() else {
                continue;
            };
            greeted = true;
            out.extend(header);
        }
        loop {
            match splitter.frame() {
                Ok(Some(frame)) => match pass(frame, to, &mut out, plan, direction).await {
                    Ok(()) => {}
                    Err(end) => return end,
                },
                Ok(None) => break,
                Err(_) => return End::Cut,
            }
        }
        if direction == Direction::ToClient {
            plan.spoken().await;
        }
        if !plan.is_black_hole() && to.write_all(&out).await.is_err() {
            return End::Closed;
        }
    }
}

/// Adds the frame to what goes out, or does to it what the plan says.
async fn pass(
    frame: Frame,
    to: &mut OwnedWriteHalf,
    out: &mut Vec<u8>,
    plan: &Plan,
    direction: Direction,
) -> Result<(), End> {
    match plan.act(direction, frame.kind) {
        None => out.extend(frame.bytes),
        Some(Act::Drop) => {}
        Some(Act::Duplicate) => {
            out.extend(&frame.bytes);
            out.extend(frame.bytes);
        }
        Some(Act::Delay(by)) => {
            to.write_all(out).await.map_err(|_| End::Closed)?;
            tokio::time::sleep(by).await;
            *out = frame.bytes;
        }
        Some(Act::Reset) => {
            let _ = to.write_all(out).await;
            return Err(End::Cut);
        }
        Some(Act::CutAfter(bytes)) => {
            out.extend(frame.bytes.iter().take(bytes));
            let _ = to.write_all(out).await;
            return Err(End::Cut);
        }
    }
    Ok(())
}
