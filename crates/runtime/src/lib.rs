pub mod lambda;
pub mod template;

pub use template::Problem;
