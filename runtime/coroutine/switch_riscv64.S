/* SPDX-License-Identifier: Apache-2.0
 *
 * The switch for RISC-V (LP64D): ra, s0-s11 and fs0-fs11, 208 bytes. See
 * switch_x86_64.S for the unwinding rules of the entry; the coroutine is in s1.
 */
#if defined(__riscv) && __riscv_xlen == 64 && !defined(CIRA_CORO_UCONTEXT)
	.text

/* int64_t cira__switch(from in a0, to in a1, value in a2) */
	.globl	cira__switch
	.hidden	cira__switch
	.type	cira__switch, @function
	.p2align 2
cira__switch:
	.cfi_startproc
	addi	sp, sp, -208
	.cfi_def_cfa_offset 208
	sd	ra, 0(sp)
	sd	s0, 8(sp)
	sd	s1, 16(sp)
	sd	s2, 24(sp)
	sd	s3, 32(sp)
	sd	s4, 40(sp)
	sd	s5, 48(sp)
	sd	s6, 56(sp)
	sd	s7, 64(sp)
	sd	s8, 72(sp)
	sd	s9, 80(sp)
	sd	s10, 88(sp)
	sd	s11, 96(sp)
	fsd	fs0, 104(sp)
	fsd	fs1, 112(sp)
	fsd	fs2, 120(sp)
	fsd	fs3, 128(sp)
	fsd	fs4, 136(sp)
	fsd	fs5, 144(sp)
	fsd	fs6, 152(sp)
	fsd	fs7, 160(sp)
	fsd	fs8, 168(sp)
	fsd	fs9, 176(sp)
	fsd	fs10, 184(sp)
	fsd	fs11, 192(sp)
	.cfi_offset ra, -208
	.cfi_offset s0, -200
	.cfi_offset s1, -192
	sd	sp, 0(a0)
	ld	sp, 0(a1)
	mv	a0, a2
	ld	ra, 0(sp)
	ld	s0, 8(sp)
	ld	s1, 16(sp)
	ld	s2, 24(sp)
	ld	s3, 32(sp)
	ld	s4, 40(sp)
	ld	s5, 48(sp)
	ld	s6, 56(sp)
	ld	s7, 64(sp)
	ld	s8, 72(sp)
	ld	s9, 80(sp)
	ld	s10, 88(sp)
	ld	s11, 96(sp)
	fld	fs0, 104(sp)
	fld	fs1, 112(sp)
	fld	fs2, 120(sp)
	fld	fs3, 128(sp)
	fld	fs4, 136(sp)
	fld	fs5, 144(sp)
	fld	fs6, 152(sp)
	fld	fs7, 160(sp)
	fld	fs8, 168(sp)
	fld	fs9, 176(sp)
	fld	fs10, 184(sp)
	fld	fs11, 192(sp)
	addi	sp, sp, 208
	.cfi_def_cfa_offset 0
	mv	t1, ra
	jr	t1
	.cfi_endproc
	.size	cira__switch, .-cira__switch

	.globl	cira__coro_entry
	.hidden	cira__coro_entry
	.type	cira__coro_entry, @function
	.p2align 2
cira__coro_entry:
	.cfi_startproc
	.cfi_signal_frame
	/* def_cfa_expression: breg9 0, deref, deref, plus_uconst 208 */
	.cfi_escape 0x0f, 0x07, 0x79, 0x00, 0x06, 0x06, 0x23, 0xd0, 0x01
	.cfi_offset ra, -208
	.cfi_offset s0, -200
	.cfi_offset s1, -192
	mv	a0, s1
	call	cira__coro_main
	ebreak
	.cfi_endproc
	.size	cira__coro_entry, .-cira__coro_entry
#endif
	.section .note.GNU-stack, "", @progbits
