pub mod aws;
pub mod clock;
pub mod driver;
pub mod dynamodb;
pub mod events;
pub mod gateway;
pub mod history;
pub mod lambda;
pub mod secrets;
pub mod template;

pub use template::Problem;
