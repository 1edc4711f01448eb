// Runner: plays a scene through a driver and says what did not come true.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/e2e/driver.h"
#include "tests/e2e/scene.h"

namespace varve {

// `mind`: the path of a model that a scene names, or an error that says why there is none.
using Minds = std::function<Result<std::string>(const std::string& name)>;

// One line a failure: "path:12: expected ..., got ...". `folder` is empty and the scene's own.
Result<std::vector<std::string>> play(const Scene& scene, Driver& driver, const std::string& folder,
                                      const Minds& minds);

}  // namespace varve
