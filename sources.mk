# What each program and each unit test is made of; a unit names exactly the sources it links.
PROGRAMS = supervisord ckptd ckpt-worker perdure perdure-init

COMMON_SRC = common/log.c common/fs.c common/proc.c common/dirs.c common/peer.c \
             common/ckpt_spec.c common/ckpt_spec_bus.c

# Programs under test, run as services by tests/flow and tests/bench.
TEST_PROGRAMS = heartbeat eventful appender ghost forker linewriter notifier stepkill
heartbeat_SRC = tests/programs/heartbeat.c
eventful_SRC = tests/programs/eventful.c
appender_SRC = tests/programs/appender.c
ghost_SRC = tests/programs/ghost.c
forker_SRC = tests/programs/forker.c
linewriter_SRC = tests/programs/linewriter.c
stepkill_SRC = tests/programs/stepkill.c
notifier_SRC = tests/programs/notifier.c

# Text forms (spans, sizes, words, names) and the policies made of them.
TEXT_SRC = common/strv.c common/words.c common/timespan.c common/bytesize.c common/nearest.c \
           common/signame.c
POLICY_SRC = supervisord/policy.c supervisord/policy_set.c supervisord/policy_file.c \
             supervisord/policy_keys.c supervisord/policy_values.c supervisord/policy_lists.c \
             supervisord/policy_exec.c supervisord/policy_exit.c supervisord/policy_limits.c \
             supervisord/policy_specifier.c supervisord/policy_env.c supervisord/policy_host.c
UNITS += test_timespan test_bytesize test_nearest test_words test_policy test_policy_file \
         test_policy_env
test_timespan_SRC = tests/common/test_timespan.c common/timespan.c
test_bytesize_SRC = tests/common/test_bytesize.c common/bytesize.c
test_nearest_SRC = tests/common/test_nearest.c common/nearest.c
test_words_SRC = tests/common/test_words.c common/words.c common/strv.c common/signame.c
test_policy_SRC = tests/supervisord/test_policy.c $(POLICY_SRC) $(TEXT_SRC) common/fs.c common/dirs.c
test_policy_PKG = inih
test_policy_file_SRC = tests/supervisord/test_policy_file.c $(POLICY_SRC) $(TEXT_SRC) common/fs.c \
                       common/dirs.c
test_policy_file_PKG = inih
test_policy_env_SRC = tests/supervisord/test_policy_env.c $(POLICY_SRC) $(TEXT_SRC) common/fs.c \
                      common/dirs.c
test_policy_env_PKG = inih

# The command.
perdure_SRC = ctl/main.c ctl/report.c ctl/client.c ctl/table.c ctl/text.c ctl/verb_status.c \
              ctl/verb_control.c ctl/verb_checkpoints.c ctl/verb_logs.c ctl/log_file.c \
              ctl/verb_check.c ctl/verb_run.c ctl/run_folders.c ctl/run_files.c \
              ctl/run_policy.c \
              common/fs.c common/proc.c common/dirs.c common/peer.c $(POLICY_SRC) $(TEXT_SRC)
perdure_PKG = libsystemd jansson inih
UNITS += test_text test_table test_log_file test_run_policy
test_text_SRC = tests/ctl/test_text.c ctl/text.c common/timespan.c
test_text_PKG = jansson
test_table_SRC = tests/ctl/test_table.c ctl/table.c
test_log_file_SRC = tests/ctl/test_log_file.c ctl/log_file.c
test_run_policy_SRC = tests/ctl/test_run_policy.c ctl/run_policy.c $(POLICY_SRC) $(TEXT_SRC) \
                      common/fs.c common/dirs.c
test_run_policy_PKG = inih

# ---- supervisord: POLICY_SRC (INI to struct) and KEEPER_SRC are named below with their tests ----
ENGINE_SRC = supervisord/engine.c supervisord/manager.c supervisord/manager_keeper.c \
             supervisord/manager_ckpt.c supervisord/manager_policy.c supervisord/control.c \
             supervisord/control_calls.c supervisord/control_json.c supervisord/notify.c \
             supervisord/pid_file.c supervisord/stop_command.c supervisord/spawn.c \
             supervisord/cgroup_root.c supervisord/record.c supervisord/service.c \
             supervisord/service_judge.c supervisord/ladder.c supervisord/resume.c \
             supervisord/keeper_client.c supervisord/control_wait.c common/utf8.c
supervisord_SRC = supervisord/main.c $(ENGINE_SRC) $(KEEPER_SRC) $(POLICY_SRC) $(COMMON_SRC) \
                  $(TEXT_SRC)
supervisord_PKG = libsystemd jansson inih

UNITS += test_service test_ladder test_record test_resume test_utf8 test_fs test_proc test_dirs
test_resume_SRC = tests/supervisord/test_resume.c supervisord/resume.c
test_utf8_SRC = tests/common/test_utf8.c common/utf8.c
test_service_SRC = tests/supervisord/test_service.c supervisord/service.c supervisord/service_judge.c supervisord/ladder.c \
                   $(POLICY_SRC) $(TEXT_SRC) common/fs.c common/dirs.c
test_service_PKG = inih
test_ladder_SRC = tests/supervisord/test_ladder.c supervisord/ladder.c
test_record_SRC = tests/supervisord/test_record.c supervisord/record.c supervisord/service.c \
                  supervisord/service_judge.c \
                  supervisord/ladder.c $(POLICY_SRC) $(TEXT_SRC) common/fs.c common/dirs.c
test_record_PKG = inih
test_fs_SRC = tests/common/test_fs.c common/fs.c
test_proc_SRC = tests/common/test_proc.c common/proc.c common/fs.c
test_dirs_SRC = tests/common/test_dirs.c common/dirs.c common/fs.c

# What a checkpoint on disk is made of; both ckptd and its workers read it.
IMAGE_SRC = $(addprefix image/,checkpoint.c manifest.c pb.c image_scan.c image_timers.c stats.c \
	hash.c seal.c restorable.c host.c)

# ckpt-worker: the only program in which libcriu runs.
ckpt-worker_SRC = $(addprefix worker/,main.c dump.c restore.c selftest.c criu.c watchdog.c \
	diagnose.c criu_log.c explain.c facts.c tree.c hook.c real_ids.c kdat.c netlock.c) \
	$(IMAGE_SRC) \
	$(addprefix common/,log.c fs.c proc.c dirs.c ckpt_spec.c session.c members.c reason.c \
	dump_request.c)
ckpt-worker_PKG = criu jansson

UNITS += test_explain test_criu_log test_stats test_image_scan test_hash
test_explain_SRC = tests/worker/test_explain.c worker/explain.c
test_criu_log_SRC = tests/worker/test_criu_log.c worker/criu_log.c
test_stats_SRC = tests/image/test_stats.c image/stats.c image/pb.c common/fs.c
test_image_scan_SRC = tests/image/test_image_scan.c image/image_scan.c image/image_timers.c image/pb.c common/fs.c
test_hash_SRC = tests/image/test_hash.c image/hash.c

# ---- supervisord: the keeper ----
KEEPER_SRC = supervisord/keeper.c supervisord/keeper_daemon.c supervisord/keeper_engine.c \
             supervisord/keeper_service.c supervisord/keeper_restore.c supervisord/keeper_reap.c \
             supervisord/keeper_stream.c supervisord/keeper_adopt.c supervisord/keeper_slot.c \
             supervisord/keeper_child.c supervisord/keeper_cgroup.c supervisord/keeper_proto.c \
             supervisord/spawn_spec.c supervisord/pump.c supervisord/orphan.c \
             common/handoff.c common/fdpass.c
perdure-init_SRC = supervisord/init.c

UNITS += test_spawn_spec test_keeper_proto test_pump test_keeper_slot test_keeper \
         test_keeper_cgroup
test_spawn_spec_SRC = tests/supervisord/test_spawn_spec.c supervisord/spawn_spec.c
test_keeper_proto_SRC = tests/supervisord/test_keeper_proto.c supervisord/keeper_proto.c \
                        common/fdpass.c common/handoff.c
test_pump_SRC = tests/supervisord/test_pump.c supervisord/pump.c common/fs.c common/log.c
test_pump_PKG = libsystemd
test_keeper_slot_SRC = tests/supervisord/test_keeper_slot.c supervisord/keeper_slot.c \
                       supervisord/keeper_proto.c supervisord/pump.c common/fdpass.c common/fs.c \
                       common/log.c common/proc.c common/dirs.c
test_keeper_slot_PKG = libsystemd
KEEPER_TEST_SRC = tests/supervisord/keeper_harness.c $(KEEPER_SRC) common/fs.c common/log.c \
                  common/proc.c common/dirs.c
test_keeper_SRC = tests/supervisord/test_keeper.c $(KEEPER_TEST_SRC)
test_keeper_PKG = libsystemd
test_keeper_cgroup_SRC = tests/supervisord/test_keeper_cgroup.c $(KEEPER_TEST_SRC)
test_keeper_cgroup_PKG = libsystemd

# ---- ckptd: STORE_SRC is what a store and the answers about it are made of ----
STORE_SRC = ckptd/store.c image/checkpoint.c ckptd/retention.c image/manifest.c common/reason.c \
            common/fs.c common/proc.c common/dirs.c
ckptd_SRC = ckptd/main.c ckptd/bus.c ckptd/json.c ckptd/manager.c ckptd/manager_dump.c ckptd/job.c \
            ckptd/worker_run.c common/session.c ckptd/staging.c ckptd/space.c ckptd/schedule.c \
            ckptd/probe.c ckptd/select.c image/restorable.c image/host.c ckptd/preflight.c \
            ckptd/unix_peer.c common/members.c ckptd/bus_calls.c \
            common/dump_request.c $(STORE_SRC) common/log.c common/peer.c common/ckpt_spec.c common/ckpt_spec_bus.c \
            common/handoff.c common/fdpass.c common/bytesize.c common/strv.c
ckptd_PKG = libsystemd jansson

UNITS += test_store test_manifest test_schedule test_restorable
test_store_SRC = tests/ckptd/test_store.c tests/image/sample.c ckptd/staging.c image/host.c \
                 $(STORE_SRC)
test_store_PKG = jansson
test_manifest_SRC = tests/image/test_manifest.c tests/image/sample.c image/host.c image/manifest.c \
                    common/fs.c common/proc.c common/dirs.c
test_manifest_PKG = jansson
test_schedule_SRC = tests/ckptd/test_schedule.c ckptd/schedule.c
test_restorable_SRC = tests/image/test_restorable.c tests/image/sample.c image/restorable.c \
                      image/host.c image/manifest.c common/fs.c common/proc.c common/dirs.c
test_restorable_PKG = jansson

UNITS += test_preflight test_ckptd
test_preflight_SRC = tests/ckptd/test_preflight.c ckptd/preflight.c common/members.c common/reason.c common/fs.c \
                     common/bytesize.c
test_ckptd_SRC = tests/ckptd/test_ckptd.c tests/image/sample.c image/checkpoint.c image/host.c \
                 image/manifest.c common/fs.c common/proc.c common/dirs.c common/handoff.c \
                 common/fdpass.c common/peer.c common/strv.c common/ckpt_spec.c \
                 common/ckpt_spec_bus.c
test_ckptd_PKG = libsystemd jansson
$(BUILD)/unit/test_ckptd: | $(BUILD)/ckptd

UNITS += test_space test_dump_request
test_space_SRC = tests/ckptd/test_space.c tests/image/sample.c ckptd/space.c common/members.c \
                 image/host.c common/bytesize.c $(STORE_SRC)
test_space_PKG = jansson
test_dump_request_SRC = tests/common/test_dump_request.c common/dump_request.c common/ckpt_spec.c \
                        common/dirs.c common/fs.c
test_dump_request_PKG = libsystemd
