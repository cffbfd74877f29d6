/* SPDX-License-Identifier: Apache-2.0
 *
 * The switch for x86-64 (System V). It saves what a called function must keep,
 * but not the control words of the floating-point units (contract: cira/coro.h).
 * It comes back by a jump, not by `ret`: the return stack of the processor knows
 * the other stack's callers and would always be wrong; the branch target buffer
 * learns the jump. Between tasks it is the other way round: cira__switch_alike.
 *
 * cira__coro_entry is the outermost frame of a coroutine. Its unwinding rules
 * lead on into the resumer: CFA = co->link->sp + 56, where the resumer's own
 * switch has saved its registers. It is marked as a signal frame, because the
 * stack that follows may lie anywhere.
 */
#if defined(__x86_64__) && !defined(CIRA_CORO_UCONTEXT)
	.text

/* int64_t cira__switch(from in rdi, to in rsi, value in rdx) */
	.globl	cira__switch
	.hidden	cira__switch
	.type	cira__switch, @function
	.p2align 6
cira__switch:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	pushq	%rbx
	.cfi_def_cfa_offset 24
	.cfi_offset %rbx, -24
	pushq	%r12
	.cfi_def_cfa_offset 32
	.cfi_offset %r12, -32
	pushq	%r13
	.cfi_def_cfa_offset 40
	.cfi_offset %r13, -40
	pushq	%r14
	.cfi_def_cfa_offset 48
	.cfi_offset %r14, -48
	pushq	%r15
	.cfi_def_cfa_offset 56
	.cfi_offset %r15, -56
	movq	%rsp, (%rdi)
	movq	(%rsi), %rsp
	movq	%rdx, %rax
	movq	48(%rsp), %rcx
	movq	(%rsp), %r15
	movq	8(%rsp), %r14
	movq	16(%rsp), %r13
	movq	24(%rsp), %r12
	movq	32(%rsp), %rbx
	movq	40(%rsp), %rbp
	addq	$56, %rsp
	.cfi_def_cfa_offset 0
	.cfi_register %rip, %rcx
	.cfi_restore %rbp
	.cfi_restore %rbx
	.cfi_restore %r12
	.cfi_restore %r13
	.cfi_restore %r14
	.cfi_restore %r15
	jmpq	*%rcx
	.cfi_endproc
	.size	cira__switch, .-cira__switch

/* void cira__switch_alike(from in rdi, to in rsi): comes back by `ret`, see
   cira__context_pass */
	.globl	cira__switch_alike
	.hidden	cira__switch_alike
	.type	cira__switch_alike, @function
	.p2align 6
cira__switch_alike:
	.cfi_startproc
	pushq	%rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	pushq	%rbx
	.cfi_def_cfa_offset 24
	.cfi_offset %rbx, -24
	pushq	%r12
	.cfi_def_cfa_offset 32
	.cfi_offset %r12, -32
	pushq	%r13
	.cfi_def_cfa_offset 40
	.cfi_offset %r13, -40
	pushq	%r14
	.cfi_def_cfa_offset 48
	.cfi_offset %r14, -48
	pushq	%r15
	.cfi_def_cfa_offset 56
	.cfi_offset %r15, -56
	movq	%rsp, (%rdi)
	movq	(%rsi), %rsp
	popq	%r15
	.cfi_def_cfa_offset 48
	.cfi_restore %r15
	popq	%r14
	.cfi_def_cfa_offset 40
	.cfi_restore %r14
	popq	%r13
	.cfi_def_cfa_offset 32
	.cfi_restore %r13
	popq	%r12
	.cfi_def_cfa_offset 24
	.cfi_restore %r12
	popq	%rbx
	.cfi_def_cfa_offset 16
	.cfi_restore %rbx
	popq	%rbp
	.cfi_def_cfa_offset 8
	.cfi_restore %rbp
	retq
	.cfi_endproc
	.size	cira__switch_alike, .-cira__switch_alike

/* The coroutine is in r12. */
	.globl	cira__coro_entry
	.hidden	cira__coro_entry
	.type	cira__coro_entry, @function
	.p2align 4
cira__coro_entry:
	.cfi_startproc
	.cfi_signal_frame
	/* def_cfa_expression: breg12 0, deref, deref, plus_uconst 56 */
	.cfi_escape 0x0f, 0x06, 0x7c, 0x00, 0x06, 0x06, 0x23, 0x38
	.cfi_offset %rip, -8
	.cfi_offset %rbp, -16
	.cfi_offset %rbx, -24
	.cfi_offset %r12, -32
	.cfi_offset %r13, -40
	.cfi_offset %r14, -48
	.cfi_offset %r15, -56
	movq	%r12, %rdi
	callq	cira__coro_main
	ud2
	.cfi_endproc
	.size	cira__coro_entry, .-cira__coro_entry
#endif
	.section .note.GNU-stack, "", @progbits
