//! Distribution functions, far into their tails.

use portcullis::stats::{beta, chi_square, normal, student};

use super::case::Case;

/// One value of one function.
pub(super) fn value(case: &mut Case<'_>) {
    let of = |field: &str| case.number(field);
    let found = match case.text("f") {
        "log_ndtr" => normal::ln_cdf(of("x")),
        "norm_ppf" => normal::quantile(of("x")),
        "betaln" => beta::ln_beta(of("a"), of("b")),
        "t_sf" => student::ln_sf(of("x"), of("df")).exp(),
        "t_ppf" => student::quantile(of("p"), of("df")),
        "chi2_sf" => chi_square::ln_sf(of("x"), of("df")).exp(),
        other => panic!("unknown function {other}"),
    };
    case.near("value", found);
}
