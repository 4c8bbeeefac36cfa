pub mod aws;
pub mod clock;
pub mod dynamodb;
pub mod lambda;
pub mod secrets;
pub mod template;

pub use template::Problem;
