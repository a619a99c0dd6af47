/* survey_parts.h - between survey.c and survey_files.c. */
#pragma once

#include "image/pb.h"
#include "worker/survey.h"

/* One file_entry; the mappings are known. */
int survey_note_file(struct survey *survey, struct pb message);
