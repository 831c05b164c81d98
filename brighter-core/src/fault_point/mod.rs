//! Fault points: named steps at which a test can inject a fault.
//!
//! `fault_point!("relay.publish")` stands before the call that publishes. In a build without the hidden feature
//! `_fault-points`, which only `testing` enables, the macro expands to nothing. With the feature, a [`Plan`] tells what
//! happens at which passing: see `brighter::testing::fault_points`.

#[cfg(feature = "_fault-points")]
mod action;
#[cfg(feature = "_fault-points")]
mod passing;
#[cfg(feature = "_fault-points")]
mod plan;

#[cfg(feature = "_fault-points")]
pub use self::action::{Action, NoRule, Rule};
#[cfg(feature = "_fault-points")]
pub use self::passing::{Injected, pass, try_pass};
#[cfg(feature = "_fault-points")]
pub use self::plan::{Installed, Passed, Plan};

/// Marks a step at which a test can inject a fault. With a function that makes an error of an [`Injected`], the step
/// can fail as well: the function around it returns that error.
#[cfg(feature = "_fault-points")]
#[doc(hidden)]
#[macro_export]
macro_rules! __fault_point {
    ($name:literal) => {
        $crate::__private::fault_point::pass($name).await
    };
    ($name:literal, $error:expr) => {
        if let Err(injected) = $crate::__private::fault_point::try_pass($name).await {
            return Err(($error)(injected.into()).into());
        }
    };
}

#[cfg(not(feature = "_fault-points"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __fault_point {
    ($($nothing:tt)*) => {};
}

/// Fails to compile if the macro expands to anything without the feature.
#[cfg(not(feature = "_fault-points"))]
const _: () = {
    crate::__fault_point!("a point", there is no such thing as this in any.language());
};

#[cfg(all(test, feature = "_fault-points"))]
mod tests {
    use std::time::Duration;

    use super::{Plan, pass, try_pass};

    type AnyError = Box<dyn std::error::Error + Send + Sync>;

    async fn step() -> Result<(), AnyError> {
        crate::__fault_point!("tests.step", |error: AnyError| error);
        Ok(())
    }

    #[tokio::test]
    async fn only_the_passing_that_is_named_fails() {
        let plan = "tests.step#2=error".parse::<Plan>().unwrap();
        let _installed = plan.install();
        step().await.unwrap();
        assert!(step().await.unwrap_err().to_string().contains("tests.step"));
        step().await.unwrap();
        pass("tests.other").await;
        let passed = plan.passed();
        assert_eq!(passed["tests.step"].times, 3);
        assert!(passed["tests.step"].can_fail && !passed["tests.other"].can_fail);
        assert!(plan.all_happened());
    }

    #[tokio::test]
    async fn another_runtime_does_not_notice() {
        let plan = "tests.step=error".parse::<Plan>().unwrap();
        let _installed = plan.install();
        let elsewhere = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(step())
        });
        elsewhere.join().unwrap().unwrap();
        let spawned = tokio::spawn(async { step().await.map_err(|error| error.to_string()) });
        spawned.await.unwrap().unwrap_err();
    }

    #[tokio::test]
    async fn a_removed_fault_point_does_nothing() {
        let plan = "tests.step=error".parse::<Plan>().unwrap();
        drop(plan.install());
        step().await.unwrap();
        assert!(plan.passed().is_empty() && !plan.all_happened());
    }

    #[tokio::test]
    async fn a_stopped_fault_point_resumes_on_request() {
        let plan = "tests.step=stop".parse::<Plan>().unwrap();
        let _installed = plan.install();
        let step = tokio::spawn(pass("tests.step"));
        plan.stopped().await;
        assert!(!step.is_finished());
        plan.go_on();
        step.await.unwrap();
    }

    #[tokio::test]
    async fn the_dead_do_nothing_more() {
        let plan = "tests.step=die".parse::<Plan>().unwrap();
        let _installed = plan.install();
        let dying = tokio::spawn(async { step().await.is_ok() });
        plan.died().await;
        let other = tokio::spawn(pass("tests.other"));
        tokio::task::yield_now().await;
        assert!(!dying.is_finished() && !other.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn it_sleeps_panics_and_cuts() {
        let plan = "tests.a=sleep(1500ms),tests.b=panic,tests.c=cut"
            .parse::<Plan>()
            .unwrap();
        let cut = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = std::sync::Arc::clone(&cut);
        plan.on_cut(move || seen.store(true, std::sync::atomic::Ordering::SeqCst));
        let _installed = plan.install();
        let begun = tokio::time::Instant::now();
        pass("tests.a").await;
        assert_eq!(begun.elapsed(), Duration::from_millis(1500));
        tokio::spawn(pass("tests.b")).await.unwrap_err();
        pass("tests.c").await;
        assert!(cut.load(std::sync::atomic::Ordering::SeqCst));
        try_pass("tests.c").await.unwrap();
    }
}
