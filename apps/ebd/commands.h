/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/** @file The commands of `ebd`: one file each. argv[0] is the command's name; they give the exit status. */

#ifndef COMMANDS_H
#define COMMANDS_H

int cmd_serve(int argc, char **argv);
int cmd_discover(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_copy(int argc, char **argv);
int cmd_perf(int argc, char **argv);
int cmd_ctl(int argc, char **argv);

#endif
