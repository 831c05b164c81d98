//! Passes fault points.

use std::convert::Infallible;
use std::future::pending;
use std::process::Command;

use super::action::Action;
use super::plan::Plan;

/// The error of a step that a plan made fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the fault point `{0}` was told to fail")]
pub struct Injected(&'static str);

/// Passes a fault point whose step cannot fail.
pub async fn pass(name: &'static str) {
    let Some(plan) = Plan::current() else { return };
    // Boxed, so that the futures of a build for tests stay nearly as small as others.
    Box::pin(meet(&plan, name, false)).await;
}

/// Passes a fault point whose step may fail.
///
/// # Errors
/// Returns an error if the plan says so.
pub async fn try_pass(name: &'static str) -> Result<(), Injected> {
    let Some(plan) = Plan::current() else {
        return Ok(());
    };
    match Box::pin(meet(&plan, name, true)).await {
        Some(Action::Error) => Err(Injected(name)),
        _ => Ok(()),
    }
}

/// Performs the action of the plan, and returns it.
#[allow(clippy::panic, reason = "it was told to")]
async fn meet(plan: &Plan, name: &'static str, can_fail: bool) -> Option<Action> {
    if plan.is_dead() {
        pending::<Infallible>().await;
    }
    let action = plan.passes(name, can_fail)?;
    match action {
        Action::Panic => panic!("the fault point `{name}` was told to panic"),
        Action::Abort => std::process::abort(),
        Action::Kill => kill(),
        Action::Sleep(time) => tokio::time::sleep(time).await,
        Action::Stop => plan.stop_here().await,
        Action::Die => {
            plan.die();
            pending::<Infallible>().await;
        }
        Action::Cut => plan.cut(),
        Action::Error => {}
    }
    Some(action)
}

/// Kills this process, as `kill -9` does. The standard library cannot, and the shell can.
fn kill() {
    let id = std::process::id();
    let _ = Command::new("sh")
        .args(["-c", &format!("kill -KILL {id}")])
        .status();
    // Fallback where there is no shell.
    std::process::abort();
}
