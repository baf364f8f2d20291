// The first chunk of a trace: what was recorded, where and how.
#pragma once

#include <capnp/message.h>

#include "analyzer/record/clock.h"
#include "analyzer/record/session.h"
#include "analyzer/record/target_tables.h"

namespace leaktrace::record {

void BuildHeader(const Session& session, const TargetTables& tables, const Clock& clock,
                 capnp::MessageBuilder& message);

}  // namespace leaktrace::record
