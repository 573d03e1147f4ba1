#[path = "vectors/statsig.rs"]
mod statsig;
#[test]
fn all() {
    println!("{}", statsig::check_folder(std::path::Path::new("tests/vectors/statsig")));
}
