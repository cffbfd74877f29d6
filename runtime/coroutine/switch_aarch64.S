/* SPDX-License-Identifier: Apache-2.0
 *
 * The switch for AArch64 (AAPCS64): x19-x30 and d8-d15, 160 bytes. See
 * switch_x86_64.S for the unwinding rules of the entry; the coroutine is in x19.
 */
#if defined(__aarch64__) && !defined(CIRA_CORO_UCONTEXT)
	.text

/* int64_t cira__switch(from in x0, to in x1, value in x2) */
	.globl	cira__switch
	.hidden	cira__switch
	.type	cira__switch, %function
	.p2align 4
cira__switch:
	.cfi_startproc
	sub	sp, sp, #160
	.cfi_def_cfa_offset 160
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	.cfi_offset x19, -160
	.cfi_offset x20, -152
	.cfi_offset x21, -144
	.cfi_offset x22, -136
	.cfi_offset x23, -128
	.cfi_offset x24, -120
	.cfi_offset x25, -112
	.cfi_offset x26, -104
	.cfi_offset x27, -96
	.cfi_offset x28, -88
	.cfi_offset x29, -80
	.cfi_offset x30, -72
	mov	x9, sp
	str	x9, [x0]
	ldr	x9, [x1]
	mov	sp, x9
	mov	x0, x2
	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #160
	.cfi_def_cfa_offset 0
	mov	x9, x30
	br	x9
	.cfi_endproc
	.size	cira__switch, .-cira__switch

	.globl	cira__coro_entry
	.hidden	cira__coro_entry
	.type	cira__coro_entry, %function
	.p2align 4
cira__coro_entry:
	.cfi_startproc
	.cfi_signal_frame
	/* def_cfa_expression: breg19 0, deref, deref, plus_uconst 160 */
	.cfi_escape 0x0f, 0x07, 0x83, 0x00, 0x06, 0x06, 0x23, 0xa0, 0x01
	.cfi_offset x19, -160
	.cfi_offset x20, -152
	.cfi_offset x21, -144
	.cfi_offset x22, -136
	.cfi_offset x23, -128
	.cfi_offset x24, -120
	.cfi_offset x25, -112
	.cfi_offset x26, -104
	.cfi_offset x27, -96
	.cfi_offset x28, -88
	.cfi_offset x29, -80
	.cfi_offset x30, -72
	mov	x0, x19
	bl	cira__coro_main
	brk	#1
	.cfi_endproc
	.size	cira__coro_entry, .-cira__coro_entry
#endif
	.section .note.GNU-stack, "", %progbits
