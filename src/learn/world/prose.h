// Prose: plain sentences about people of a scene, for fluency and as hay around a needle.
#pragma once

#include <string>

#include "learn/world/scene.h"

namespace varve::world {

std::string description(Scene& scene);  // one person in a few sentences, as a paragraph
std::string story(Scene& scene);        // one little story, as a paragraph
std::string letter(Scene& scene);       // somebody writes what is new

}  // namespace varve::world
