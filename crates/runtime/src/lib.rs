pub mod aws;
pub mod clock;
pub mod dynamodb;
pub mod lambda;
pub mod template;

pub use template::Problem;
